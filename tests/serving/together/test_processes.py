"""`manage.py serve` in several processes on one port, as programs meet it."""

import http.client
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import websocket
from django.core.management import CommandError, call_command
from prometheus_client.parser import text_string_to_metric_families

from exchanges.models import Exchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.timeframe import Timeframe
from serving.models import ApiClient
from tests.fixtures.ports import free_port
from tests.serving.conftest import say_streamed
from tests.serving.serving import klines
from tests.warmup.runners import SYMBOLS, chosen, make_row, processes, wait_until
from warmup.network.readers import read_readers, read_reports

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-of-thirty-two-characters"
H1 = Timeframe.H1


def health(url):
    try:
        return requests.get(f"{url}/health/", timeout=10).status_code
    except requests.ConnectionError:
        return None


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("LIVERMORE_METRICS_TOKEN", TOKEN)
    with processes() as manage:

        def begin(*options, workers=2, **more):
            port = free_port()
            words = ("--port", str(port), "--workers", str(workers), *options)
            process = manage("serve", *words, **more)
            line = process.stdout.readline()
            assert f"http://127.0.0.1:{port}/" in line, process.communicate()
            return process, f"http://127.0.0.1:{port}"

        yield begin


@pytest.fixture
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as started:
        yield started


def below(pid):
    """Return the processes that one has forked."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def serving(process):
    """Return the processes that serve: they are forked of one that is forked of the parent."""
    (fork_server,) = below(process.pid)
    return below(fork_server)


def scrape(url):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = requests.get(f"{url}/metrics", headers=headers, timeout=10).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask_anew(url, token="", **options):
    """Ask on a connection of its own."""
    address = f"{url}/k/{token}/sandbox/api/v3/ping" if token else f"{url}/sandbox/api/v3/ping"
    return requests.get(address, headers={"Connection": "close"}, timeout=20, **options)


def make_client(**limits):
    client = ApiClient(name="bot", **limits)
    token = client.new_token()
    client.save()
    return token


def test_what_one_process_lacks_another_fetched_and_each_is_begun_anew(redis, sandbox, serve):
    make_row(sandbox)
    process, url = serve()
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    before = len(sandbox.requests.candles)
    with ThreadPoolExecutor(24) as pool:
        asked = [each.replace("-", "") for each in SYMBOLS] * 8
        answers = list(pool.map(lambda each: klines(url, each, limit=90, endTime=last_ms), asked))
    assert {each.status_code for each in answers} == {200}
    calls = [each.symbol for each in sandbox.requests.candles[before:]]
    assert sorted(calls) == sorted(SYMBOLS)

    with ThreadPoolExecutor(12) as pool:
        asked_for = [f"{url}/sandbox/api/v3/exchangeInfo"] * 12
        listings = list(pool.map(lambda each: requests.get(each, timeout=20), asked_for))
    assert len({each.text for each in listings}) == 1  # as it has the time of the answer
    assert listings[0].json()["symbols"]

    wait_until(lambda: len(read_reports(redis)) == 2)
    first, second = pids = serving(process)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(serving(process)) == 2 and first not in serving(process))
    assert second in serving(process)
    wait_until(lambda: health(url) == 200)
    told = scrape(url)
    counted = ("sandbox", "klines", "200")
    # What one that was killed had counted in its last second is gone.
    assert 0 < told["livermore_serving_requests_total", *counted] <= len(asked)
    assert told["livermore_serving_redis_up",] == 1
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "serving.process_died number=" in err
    assert not [each for each in pids if Path(f"/proc/{each}").exists()]


LASTING = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
import django
django.setup()
from django.core.management import execute_from_command_line
from serving.binance import rest
from serving.fetching import opened, passing
rest.MOMENT_SECONDS = opened.OPEN_HOLDS_SECONDS = passing.REFUSAL_SECONDS = 60.0
opened.LONGEST_OPEN_SECONDS = 20.0
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def test_what_is_not_stored_is_asked_of_the_exchange_once_by_all_processes(redis, sandbox, serve):
    make_row(sandbox)
    _, url = serve(code=LASTING)
    wait_until(lambda: len(read_reports(redis)) == 2)
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    assert klines(url, limit=5, endTime=last_ms).status_code == 200

    def ask(path, endpoint):
        """Ask on connections of their own, so that each process is asked."""
        before = sandbox.requests.counts[endpoint]
        address = f"{url}/sandbox/api/v3/{path}"
        with ThreadPoolExecutor(8) as pool:
            asked = [{"Connection": "close"}] * 24
            answers = list(
                pool.map(lambda each: requests.get(address, headers=each, timeout=30), asked)
            )
        (status,) = {each.status_code for each in answers}
        (text,) = {each.text for each in answers}
        return status, text, sandbox.requests.counts[endpoint] - before

    status, _, calls = ask("ticker/price?symbol=BTCUSD", "binance.price")
    assert (status, calls) == (200, 1)
    # The one has come with the closed ones, to one of them.
    for symbol, expected in (("BTCUSD", 0), ("ETHUSD", 1)):
        open_one = f"klines?symbol={symbol}&interval=1h&limit=1"
        status, _, calls = ask(open_one, "binance.klines")
        assert (status, calls) == (200, expected)
    found = ask("klines?symbol=BTCUSD&interval=1w", "binance.klines")  # it has none of these
    assert found == (400, '{"code":-1120,"msg":"Invalid interval."}', 1)
    sandbox.faults.add("status", status=418, retry_after=300)
    status, text, calls = ask("ticker/price?symbol=ETHUSD", "binance.price")
    assert (status, calls) == (503, 1)
    assert "banned this address until" in text


HASTY = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
from django.core.management import execute_from_command_line
from serving.together import processes
processes.SECONDS_BETWEEN_SIGNS, processes.SILENCE_SECONDS = 0.2, 3.0
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def test_one_that_hangs_is_ended_and_another_one_begun(redis):
    with processes() as manage:
        process = manage("serve", "--port", str(free_port()), "--workers", "2", code=HASTY)
        assert "Serving candles" in process.stdout.readline()
        hanging, other = serving(process)
        os.kill(hanging, signal.SIGSTOP)
        wait_until(lambda: len(serving(process)) == 2 and hanging not in serving(process), 30)
        assert other in serving(process)
        process.terminate()
        assert "serving.process_hung number=1" in process.communicate(timeout=20)[1]


def test_limits_are_those_of_all_processes_together(redis, serve):
    token = make_client(requests_per_second=20, sockets=3)
    process, url = serve("--tokens")
    assert ask_anew(url).status_code == 401
    began = int(redis.time()[0])
    with ThreadPoolExecutor(8) as pool:
        answers = [
            each.status_code for each in pool.map(lambda _: ask_anew(url, token), range(120))
        ]
    seconds = int(redis.time()[0]) - began + 1
    assert answers.count(200) <= 20 * seconds
    assert answers.count(200) + answers.count(429) == 120
    if seconds < 5:
        assert 429 in answers

    address = url.replace("http", "ws") + f"/k/{token}/sandbox/ws"
    say_streamed(redis, Exchange.objects.get(name="sandbox").pk)
    open_ones, refused = [], 0
    while len(open_ones) + refused < 8:
        try:
            open_ones.append(websocket.create_connection(address, timeout=20))
        except websocket.WebSocketBadStatusException as error:
            assert error.status_code == 429
            refused += error.resp_body is not None and b"connections open" in error.resp_body
    assert len(open_ones) == 3
    for each in open_ones[:1]:
        each.close()

    def opens():
        try:
            open_ones[0] = websocket.create_connection(address, timeout=20)
        except websocket.WebSocketBadStatusException:
            return False
        return True

    wait_until(opens)
    wait_until(lambda: [each["sockets"] for each in read_readers(redis)] == [3])
    # What another process says may be a second old.
    wait_until(lambda: scrape(url)["livermore_serving_sockets", "bot", "sandbox"] == 3)
    told = scrape(url)
    assert told["livermore_serving_refused_total", "bot", "sockets"] >= 5
    assert told["livermore_serving_refused_total", "", "no token"] == 1
    process.send_signal(signal.SIGTERM)
    for each in open_ones:
        assert b"serverShutdown" in each.recv_data()[1]
        kind, data = each.recv_data()
        assert (kind, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1001)
        each.close()
    assert process.wait(20) == 0
    assert read_readers(redis) == []


def test_an_answer_that_is_under_way_is_given_before_it_ends(redis, sandbox, serve):
    make_row(sandbox)
    process, url = serve(workers=1)
    last_ms = H1.floor(sandbox.clock.now_ms()) - H1.ms
    sandbox.faults.add("slow", seconds=0.6)
    before = len(sandbox.requests.candles)
    held = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    query = f"symbol=ETHUSD&interval=1h&limit=50&endTime={last_ms}&livermoreWait=60000"
    held.request("GET", f"/sandbox/api/v3/klines?{query}")
    events = requests.get(f"{url}/v1/events?exchange=sandbox", stream=True, timeout=20)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(klines, url, limit=50, endTime=last_ms)
        wait_until(lambda: len(sandbox.requests.candles) > before or answer.done())
        process.send_signal(signal.SIGTERM)
        assert answer.result(20).status_code == 200
    assert held.getresponse().status == 200
    held.close()
    told = b"".join(events.iter_content(None))  # its end is told, too, and not one event
    assert told == b'retry: 3000\nid: 0-0\n\nid: 0-0\nevent: state\ndata: {"streamed":false}\n\n'
    assert process.wait(20) == 0


def test_what_is_called_wrongly_is_one_line_and_none_outlives_its_parent(serve):
    with pytest.raises(CommandError, match="'0' is no number from 1 to 64"):
        call_command("serve", "--workers", "0")
    process, url = serve()
    port = url.rpartition(":")[2]
    wrong = {
        ("--port", port, "--workers", "2"): (1, f"Can't serve at 127.0.0.1:{port}: "),
        ("--port", port, "--tokens"): (1, "make an API client in the admin first"),
        ("--host", "0.0.0.0", "--workers", "2"): (1, "0.0.0.0 can be reached from elsewhere"),
    }
    with processes() as manage:
        started = {words: manage("serve", *words) for words in wrong}
        for words, (status, line) in wrong.items():
            _, err = started[words].communicate(timeout=60)
            assert started[words].returncode == status, err
            assert err.count("\n") == 1 and line in err, err
    pids = serving(process)
    process.kill()
    wait_until(lambda: not [each for each in pids if Path(f"/proc/{each}").exists()])
