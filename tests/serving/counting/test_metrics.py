"""What `serve` tells Prometheus, counted by real requests."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import websocket
from prometheus_client.parser import text_string_to_metric_families

from exchanges.models import Exchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from serving.counting.exposition import METRICS, Counts, in_text
from tests.serving.conftest import say_streamed
from tests.serving.serving import klines, served
from tests.test_run import ROOT
from tests.warmup.runners import SYMBOLS, chosen, make_row, wait_until
from warmup.network.readers import read_readers

TOKEN = "a-token-of-thirty-two-characters"
TEXT = (ROOT / "docs/metrics.md").read_text()
H1 = Timeframe.H1
BEARER = {"Authorization": f"Bearer {TOKEN}"}

pytestmark = pytest.mark.django_db(transaction=True)


def scrape(url, **headers):
    return requests.get(f"{url}/metrics", headers=BEARER | headers, timeout=20)


def values(url):
    return {
        (sample.name.removeprefix("livermore_serving_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(scrape(url).text)
        for sample in family.samples
    }


def test_what_is_asked_is_counted_by_exchange_route_and_status(redis):
    with served(redis, metrics_token=TOKEN) as url:
        api = f"{url}/sandbox/api/v3"
        for path in ("ping", "ping", "time", "klines", "nonsense/1", "nonsense/2"):
            requests.get(f"{api}/{path}", timeout=20)
        requests.get(f"{url}/nowhere/api/v3/ping", timeout=20)
        requests.get(f"{api}/ping", params={"signature": "ab"}, timeout=20)
        found = values(url)
        assert found["requests_total", "sandbox", "ping", "200"] == 2
        assert found["requests_total", "sandbox", "klines", "400"] == 1
        assert found["requests_total", "sandbox", "other", "404"] == 2
        assert found["requests_total", "", "ping", "404"] == 1
        assert found["refused_total", "", "signed"] == 1
        assert found["processes",] == found["redis_up",] == 1
        assert found["answer_seconds_count", "ping"] == 4
        assert found["answer_seconds_bucket", "+Inf", "ping"] == 4
        assert 0 < found["answer_seconds_sum", "ping"] < 20
        assert values(url)["requests_total", "", "metrics", "200"] == 1


def test_a_socket_is_counted_while_it_is_open(redis):
    say_streamed(redis, Exchange.objects.get(name="sandbox").pk)
    with served(redis, metrics_token=TOKEN) as url:
        address = url.replace("http", "ws") + "/sandbox/ws"
        socket = websocket.create_connection(address, timeout=20)
        assert values(url)["sockets", "", "sandbox"] == 1
        assert read_readers(redis)[0]["sockets"] == 1
        socket.close()
        wait_until(lambda: values(url)["sockets", "", "sandbox"] == 0)
        assert values(url)["requests_total", "sandbox", "ws", "101"] == 1
        assert ("answer_seconds_count", "ws") not in values(url)


@pytest.mark.parametrize(
    ("error", "status"), [(ConnectionResetError("closing"), "101"), (KeyError("a fault"), "500")]
)
def test_a_client_that_goes_before_it_has_a_reply_is_no_fault(redis, monkeypatch, error, status):
    async def reply(*which):
        raise error

    monkeypatch.setattr("serving.binance.socket.BinanceSocket._answer", reply)
    say_streamed(redis, Exchange.objects.get(name="sandbox").pk)
    with served(redis, metrics_token=TOKEN) as url:
        address = url.replace("http", "ws") + "/sandbox/ws"
        socket = websocket.create_connection(address, timeout=20)
        socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        counted = "requests_total", "sandbox", "ws"
        wait_until(lambda: [each for each in values(url) if each[:3] == counted])
        assert [each[3] for each in values(url) if each[:3] == counted] == [status]


def test_who_brings_no_token_is_told_nothing(redis):
    with served(redis, metrics_token=TOKEN) as url:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}):
            answer = requests.get(f"{url}/metrics", headers=headers, timeout=20)
            assert (answer.status_code, "livermore" in answer.text) == (401, False)
        accepts = scrape(url, Accept="application/openmetrics-text; version=1.0.0")
        assert accepts.headers["Content-Type"].startswith("application/openmetrics-text")
    with served(redis) as url:
        assert scrape(url).status_code == 404


def test_what_somebody_else_wrote_costs_nothing(redis):
    with served(redis, metrics_token=TOKEN, server_id="s") as url:
        name = keys.serving_counts("s")
        for field in ("x", "[]", '["nonsense","a"]', '["requests_total","a"]', '[["a"]]'):
            redis.hset(name, field, "1")
        redis.hset(name, in_text(("requests_total", "a", "b", "c")), "many")
        assert values(url)["processes",] == 1


def test_every_metric_is_in_the_document_with_its_type_and_labels_and_no_other(redis):
    with served(redis, metrics_token=TOKEN) as url:
        exported = re.findall(r"^# TYPE (\S+) (\S+)", scrape(url).text, re.M)
    rows = re.findall(r"^\| `(livermore_serving_\w+)` \| (\w+) \|([^|]*)\|", TEXT, re.M)
    assert sorted((name, kind) for name, kind, _ in rows) == sorted(exported)
    labels = {name: tuple(each.replace(",", "").split()) for name, _, each in rows}
    assert labels == {f"livermore_serving_{name}": kind.labels for name, kind in METRICS.items()}


def test_what_could_not_be_told_is_told_later():
    counts = Counts()
    counts.add("a", "b")
    counts.observe("c", seconds=0.003)
    taken = counts.take()
    assert counts.take() == {}
    counts.add("a", "b", amount=2)
    counts.put_back(taken)
    assert counts.take() == {("a", "b"): 3, ("c", "0.005"): 1, ("c", "sum"): 0.003}


def test_hits_misses_and_calls_that_were_saved(redis):
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as sandbox:
        make_row(sandbox)
        last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
        asked = {"limit": 50, "endTime": last_ms}
        with served(redis, metrics_token=TOKEN) as url:
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: klines(url, **asked), range(4)))
            answers += [klines(url, **asked) for _ in range(2)]
            assert {each.status_code for each in answers} == {200}
            klines(url, "NONE")
            before = time.time()
            requests.get(f"{url}/sandbox/api/v3/ping", timeout=20)
            found = values(url)  # all of it is told now
            (reader,) = read_readers(redis)
    name = "candle_answers_total", "sandbox"
    counted = {each: found.get((*name, each), 0) for each in ("hit", "miss", "wait")}
    assert counted["miss"] == 1
    assert counted["hit"] >= 2
    assert sum(counted.values()) == 6
    assert (reader["client"], reader["exchange"], reader["requests"]) == ("", "sandbox", 8)
    assert reader["saved"] == 5
    assert reader["hitRatio"] == counted["hit"] / 6
    assert reader["sockets"] == 0
    assert reader["slowestMs"] > 0
    assert before * 1000 - 1 <= reader["seenAt"] <= time.time() * 1000


def test_the_time_for_which_a_request_asked_to_be_held_is_not_that_of_its_answer(redis):
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as sandbox:
        make_row(sandbox)
        with served(redis, metrics_token=TOKEN) as url:
            began = time.monotonic()
            assert klines(url, limit=50, livermoreWait=700).status_code == 200
            took = time.monotonic() - began
            found = values(url)
    assert took >= 0.7
    assert found["answer_seconds_count", "klines"] == 1
    assert found["answer_seconds_sum", "klines"] <= took - 0.69
