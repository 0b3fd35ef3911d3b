"""Closes as a runner tells them, into an events stream of the test's own."""

from itertools import islice

import orjson

from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.serving.conftest import ROW

MINUTE = 60_000
BEGIN = 1_795_046_400_000


def message(number, symbol="BTC-USD", timeframe="1m", begin_ms=BEGIN, **more):
    """Return the event of the pair's bar of that number."""
    return {
        "exchangeId": ROW.exchange_id, "symbol": symbol, "timeframe": timeframe,
        "timestamp": begin_ms + number * Timeframe(timeframe).ms, "open": 100.5, "high": 102.25,
        "low": 99.125, "close": 101.0 + number, "volume": 0.125, "closed": True, "healed": False,
    } | more  # fmt: skip


def tell(redis, number, symbol="BTC-USD", timeframe="1m", entry_id="*", **more):
    """Write a close, as a runner does; return its id."""
    text = orjson.dumps(message(number, symbol, timeframe, **more))
    return redis.xadd(keys.events(ROW.exchange_id), {"event": text}, id=entry_id).decode()


def take(closes, count):
    """Return the next closes as their ids."""
    return [close.id for close in islice(closes, count)]


def numbers(closes, count):
    """Return the next closes as the numbers of their bars."""
    return [number_of(close) for close in islice(closes, count)]


def number_of(close):
    return (close.row[0] - BEGIN) // Timeframe(close.timeframe).ms
