"""What a socket is told of closes over restarts, beside the sandbox's truth."""

import threading
from contextlib import ExitStack, contextmanager, suppress

import orjson
import pytest
import websocket

from livermore.market.timeframe import Timeframe
from tests.serving.serving import served
from tests.warmup.runners import MINUTE_MS, make_row, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
STREAMS = "btcusd@kline_1m/ethusd@kline_1m/ethusd@kline_5m"


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


def test_each_close_comes_once_and_in_order_over_a_break_of_connections(redis):
    with serve() as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url, listening(url) as told:

            def wait_for_bars(count):
                until = len(closes(told, "BTCUSD", "1m")) + count
                wait_until(lambda: len(closes(told, "BTCUSD", "1m")) >= until)

            wait_for_bars(1)
            redis.client_kill_filter(_type="pubsub", skipme=True)
            wait_for_bars(2)
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


def assert_true(told, sandbox):
    for symbol, timeframe in (("BTCUSD", "1m"), ("ETHUSD", "1m"), ("ETHUSD", "5m")):
        rows, length = closes(told, symbol, timeframe), Timeframe(timeframe).ms
        if not rows:  # of five minutes none may have ended
            assert timeframe == "5m"
            continue
        first_ms, end_ms = rows[0][0], rows[-1][0] + length
        name = symbol.replace("USD", "-USD")
        truth = sandbox.market.closed_candles(name, Timeframe(timeframe), first_ms, end_ms)
        assert rows == [[each[0], *map(float, each[1:6])] for each in truth]
        seen_ms = 0
        for bar in (each for each in told if each[:2] == (symbol, timeframe)):
            assert bar[2][0] >= seen_ms, "a bar after its close"
            seen_ms = max(seen_ms, bar[2][0] + length * bar[3])
