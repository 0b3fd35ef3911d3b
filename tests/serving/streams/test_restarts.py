"""What a socket is told of closes over restarts, beside the sandbox's truth."""

import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import orjson
import pytest
import websocket

from exchanges.transport import backoff
from livermore.market.derived import BY_TEXT, DERIVED, derive
from livermore.market.timeframe import Timeframe
from tests.fixtures.ports import free_port
from tests.serving.serving import klines, served
from tests.serving.together.test_processes import below
from tests.warmup.live.lossy_redis import LossyRedis
from tests.warmup.runners import MINUTE_MS, make_row, processes, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
PAIRS = [("BTCUSD", "1m"), ("BTCUSD", "3m"), ("ETHUSD", "1m"), ("ETHUSD", "5m")]
STREAMS = "/".join(f"{word.lower()}@kline_{timeframe}" for word, timeframe in PAIRS)


@contextmanager
def listening(url):
    """Collect the bars that a socket is told, in order: symbol, timeframe, row, whether closed."""
    address = url.replace("http", "ws") + f"/sandbox/stream?streams={STREAMS}"
    socket, told = websocket.create_connection(address, timeout=30), []

    def read():
        with suppress(websocket.WebSocketException, OSError):  # it was closed
            while text := socket.recv():
                bar = orjson.loads(text)["data"]["k"]
                row = [bar["t"], *(float(bar[name]) for name in "ohlcv")]
                told.append((bar["s"], bar["i"], row, bar["x"]))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        socket.abort()
        thread.join(10)


def closes(told, symbol, timeframe):
    return [
        row for name, text, row, closed in told if (name, text, closed) == (symbol, timeframe, True)
    ]


def wait_for_bars(told, count):
    until = len(closes(told, "BTCUSD", "1m")) + count
    wait_until(lambda: len(closes(told, "BTCUSD", "1m")) >= until)


def test_each_close_comes_once_and_in_order_over_a_break_of_connections(redis):
    with serve() as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url, listening(url) as told:
            wait_for_bars(told, 1)
            redis.client_kill_filter(_type="pubsub", skipme=True)
            wait_for_bars(told, 2)
    assert_true(told, sandbox)


def test_a_runner_that_takes_over_tells_what_closed_meanwhile(redis):
    with serve() as sandbox:
        row = make_row(sandbox)
        with served(redis) as url, ExitStack() as until_the_end:
            with running(redis, row):
                told = until_the_end.enter_context(listening(url))
                wait_until(lambda: closes(told, "BTCUSD", "1m"))
            before = sandbox.clock.now_ms()
            wait_until(lambda: sandbox.clock.now_ms() > before + 2 * MINUTE_MS)
            with running(redis, row):
                now_ms = sandbox.clock.now_ms()
                wait_until(lambda: closes(told, "BTCUSD", "1m")[-1][0] > now_ms)
    assert_true(told, sandbox)


@pytest.mark.parametrize("loses", [True, False])
def test_each_close_comes_once_and_in_order_over_a_restart_of_redis(tmp_path, monkeypatch, loses):
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)
    with serve() as sandbox, LossyRedis(tmp_path, "cut") as lossy, lossy.client() as redis:
        row = make_row(sandbox)
        with running(redis, row), served(redis, lossy.url) as url, listening(url) as told:
            wait_for_bars(told, 1)
            lossy.remember()
            wait_for_bars(told, 2)
            if not loses:
                lossy.remember()
            lossy.lose()
            wait_for_bars(told, 2)
    assert_true(told, sandbox)


class Bot:
    """A program that connects again by itself, and asks REST for what it missed meanwhile."""

    def __init__(self, url, sandbox):
        self._url, self._sandbox = url, sandbox
        self.told = []  # the closes of BTCUSD that sockets told, in this order
        self.known = {}  # its bars by their time, of sockets and of REST
        self.connections = 0
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ending = True
        self._thread.join(10)

    def wait_for_bars(self, connection):
        """Wait until a connection, counted from 1, has told a bar."""
        wait_until(lambda: self.connections >= connection)
        until = len(self.told) + 1
        wait_until(lambda: len(self.told) >= until)

    def _run(self):
        while not self._ending:
            with suppress(OSError, websocket.WebSocketException):
                self._listen()
            time.sleep(0.02)

    def _listen(self):
        address = self._url.replace("http", "ws") + "/sandbox/ws/btcusd@kline_1m"
        socket = websocket.create_connection(address, timeout=10)
        try:
            self._ask_for_what_was_missed()
            self.connections += 1
            while not self._ending and (text := socket.recv()):
                if (bar := orjson.loads(text).get("k")) and bar["x"]:
                    row = [bar["t"], *(float(bar[name]) for name in "ohlcv")]
                    self.told.append(row)
                    assert self.known.setdefault(row[0], row) == row
        finally:
            socket.close()

    def _ask_for_what_was_missed(self):
        if not self.known:
            return
        now_ms = self._sandbox.clock.now_ms()
        answer = klines(self._url, interval="1m", startTime=max(self.known) + 1)
        if answer.status_code != 200:
            raise OSError(answer.text)
        for row in answer.json():
            if row[6] < now_ms:
                assert self.known.setdefault(row[0], [row[0], *map(float, row[1:6])])

    def assert_true(self):
        times = [row[0] for row in self.told]
        assert times == sorted(set(times))
        first_ms, end_ms = min(self.known), max(self.known) + MINUTE_MS
        truth = self._sandbox.market.closed_candles("BTC-USD", Timeframe.M1, first_ms, end_ms)
        rows = [self.known[each] for each in sorted(self.known)]
        assert rows == [[each[0], *map(float, each[1:6])] for each in truth]


def kill_all_that_serve(process):
    """Kill them while their parent stands still: it learns of all at once, as on a busy machine."""
    process.send_signal(signal.SIGSTOP)
    (fork_server,) = below(process.pid)
    for pid in below(fork_server):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: pid not in below(fork_server))
    process.send_signal(signal.SIGCONT)


def test_a_program_that_connects_again_misses_nothing_where_serve_is_killed(redis):
    with serve() as sandbox, processes() as manage, running(redis, make_row(sandbox)):
        port = free_port()
        process = manage("serve", "--port", str(port), "--workers", "2")
        assert "Serving candles" in process.stdout.readline()
        with Bot(f"http://127.0.0.1:{port}", sandbox) as bot:
            bot.wait_for_bars(1)
            kill_all_that_serve(process)
            bot.wait_for_bars(2)
    bot.assert_true()


def test_a_program_that_connects_again_misses_nothing_where_serve_ends_and_begins(redis):
    with serve() as sandbox, running(redis, make_row(sandbox)):
        port = free_port()
        with Bot(f"http://127.0.0.1:{port}", sandbox) as bot:
            for connection in (1, 2):
                with served(redis, port=port):
                    bot.wait_for_bars(connection)
    bot.assert_true()


def assert_true(told, sandbox):
    for symbol, text in PAIRS:
        rows, timeframe = closes(told, symbol, text), BY_TEXT[text]
        if not rows:  # of five minutes none may have ended
            assert text == "5m"
            continue
        stretch = rows[0][0], rows[-1][0] + timeframe.ms
        base, name = getattr(timeframe, "base", timeframe), symbol.replace("USD", "-USD")
        truth = sandbox.market.closed_candles(name, base, *stretch)
        truth = [[each[0], *map(float, each[1:6])] for each in truth]
        if text in DERIVED:
            truth, _ = derive(truth, (stretch,), timeframe)
        assert rows == truth
        seen_ms = 0
        for bar in (each for each in told if each[:2] == (symbol, text)):
            assert bar[2][0] >= seen_ms, "a bar after its close"
            seen_ms = max(seen_ms, bar[2][0] + timeframe.ms * bar[3])
