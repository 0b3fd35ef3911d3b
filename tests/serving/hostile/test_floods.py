"""Who asks for far too much, and who goes before the answer: others notice nothing of it."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import websocket
from prometheus_client.parser import text_string_to_metric_families

from exchanges.models import Exchange
from livermore.market.timeframe import Timeframe
from serving.candles.cached import Cached
from serving.models import ApiClient
from tests.serving.conftest import Filled, FixedDirectory, say_streamed
from tests.serving.hostile.raw import connect, read_answer, request
from tests.serving.serving import served
from tests.warmup.runners import wait_until

PING = "/sandbox/api/v3/ping"
KLINES = "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h&limit=5"
TOKEN = "a-token-of-thirty-two-characters"


def values(url):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = requests.get(f"{url}/metrics", headers=headers, timeout=10).text
    return {
        (sample.name.removeprefix("livermore_serving_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def token_of(name, **limits):
    client = ApiClient(name=name, **limits)
    token = client.new_token()
    client.save()
    return token


@pytest.mark.django_db(transaction=True)
def test_a_client_over_its_limit_costs_the_others_nothing(redis):
    wild, tame = token_of("wild", requests_per_second=5), token_of("tame")
    with served(redis, is_open=False) as url:

        def flood(_):
            with requests.Session() as session:
                return [
                    session.get(f"{url}/k/{wild}{PING}", timeout=10) for _ in range(100)
                ]  # fmt: skip

        with ThreadPoolExecutor(4) as pool:
            flooding = pool.map(flood, range(4))
            statuses = [
                requests.get(f"{url}/k/{tame}{PING}", timeout=10).status_code for _ in range(20)
            ]
            answers = [each for found in flooding for each in found]
    assert statuses == [200] * 20
    refused = [each for each in answers if each.status_code != 200]
    assert len(refused) > 300
    assert {each.status_code for each in refused} == {429}
    assert {each.headers["Retry-After"] for each in refused} == {"1"}
    text = '{"code":-1003,"msg":"wild may send 5 requests a second"}'
    assert {each.text for each in refused} == {text}


@pytest.mark.django_db(transaction=True)
def test_a_client_that_opens_and_closes_has_all_its_sockets_again(redis):
    say_streamed(redis, Exchange.objects.get(name="sandbox").pk)
    token = token_of("bot", sockets=2)
    with served(redis, is_open=False) as url:
        address = url.replace("http", "ws") + f"/k/{token}/sandbox/ws"
        for number in range(20):
            each = wait_until(lambda: opened(address))
            if number % 2:
                each.close()
            else:
                each.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                each.sock.close()


def opened(address):
    try:
        return websocket.create_connection(address, timeout=10)
    except websocket.WebSocketBadStatusException as error:
        assert error.status_code == 429
        return None


def test_who_goes_before_the_answer_is_worked_for_no_longer(redis):
    Filled(redis)
    directory = FixedDirectory()
    with served(redis, directory=directory, metrics_token=TOKEN) as url:
        for _ in range(20):
            with connect(url) as each:
                each.sendall(request(f"{KLINES}&livermoreWait=60000"))
        wait_until(lambda: values(url).get(("requests_total", "sandbox", "klines", "499")) == 20)
        assert ("answer_seconds_count", "klines") not in values(url)


def test_many_who_wait_for_a_bar_are_one_who_looks(redis, monkeypatch):
    filled = Filled(redis)
    looks = []
    window = Cached.current

    async def looked(self, exchange, pair):
        looks.append(pair)
        return await window(self, exchange, pair)

    monkeypatch.setattr(Cached, "current", looked)
    # The bar that is waited for is the one that is open now: nobody has it for an hour.
    monkeypatch.setattr("serving.candles.cached.EARLY_MS", Timeframe.H1.ms)
    with served(redis, directory=FixedDirectory()) as url:
        connections = [connect(url) for _ in range(100)]
        for each in connections:
            each.sendall(request(f"{KLINES}&endTime={filled.open_ms - 1}&livermoreWait=1000"))
        statuses = {read_answer(each.makefile("rb")).status for each in connections}
        for each in connections:
            each.close()
    assert statuses == {200}
    assert len(looks) < 100 + 300  # one for each answer, and those of the one who looked
