"""How candles came that a runner streams and has warmed up."""

import orjson
import pytest

from livermore.market import keys
from livermore.market.derived import BY_TEXT
from tests.serving.serving import klines, served
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    SYMBOLS,
    make_row,
    running,
    serve,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)


def closes(redis, row):
    """Return when bars of a minute opened of which a close was told, and whether it was healed."""
    events = [orjson.loads(fields[b"event"]) for _, fields in redis.xrange(keys.events(row.pk))]
    return [
        (each["timestamp"], each["healed"])
        for each in events
        if (each["symbol"], each["timeframe"]) == ("BTC-USD", "1m")
    ]


def test_what_is_streamed_is_told_from_what_was_fetched(redis):
    with serve() as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url:
            wait_until(lambda: any(not healed for _, healed in closes(redis, row)))
            told = closes(redis, row)
            streamed_ms = next(opened for opened, healed in told if not healed)
            one = klines(url, interval="1m", limit=1, endTime=streamed_ms)
            before = klines(url, interval="1m", limit=5, endTime=told[0][0] - MINUTE_MS)
            newest = klines(url, interval="1m")
    assert one.json()[0][0] == streamed_ms, one.text
    assert one.headers["X-Livermore-Source"] == "stream"
    assert before.headers["X-Livermore-Source"] == "rest"
    assert newest.headers["X-Livermore-Source"].startswith("stream, ")


def test_before_the_first_trade_that_is_streamed_the_open_candle_is_there(redis):
    with serve(speed=1, start_ms=MIDNIGHT_MS - 40_000) as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url:
            answers = [
                (klines(url, symbol.replace("-", ""), interval, limit=2), BY_TEXT[interval])
                for symbol in SYMBOLS
                for interval in ("1m", "1h", "2h", "1d")
            ]
    until_ms = sandbox.clock.now_ms()
    assert until_ms < MIDNIGHT_MS
    for answer, timeframe in answers:
        assert answer.json()[-1][0] == timeframe.floor(until_ms), answer.headers


def test_while_a_runner_is_banned_it_is_said_for_how_long(redis):
    with serve(speed=1) as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url:
            sandbox.faults.add("status", status=418, retry_after=300)
            refused = klines(url, limit=900)
    assert refused.status_code == 503
    assert "banned this address until" in refused.json()["msg"]
    assert 200 < int(refused.headers["Retry-After"]) <= 300
