"""What Bybit's streams say, as bytes (v5, "WebSocket Public", July 2026)."""

import re
from collections.abc import Sequence

import orjson

from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import Listing
from livermore.market.timeframe import Timeframe

SNAPSHOT, DELTA = "snapshot", "delta"
_SENT = re.compile(rb'"ts":[0-9]+')
_OPEN = b'"confirm":false'
_START = re.compile(rb'"start":([0-9]+),"end":([0-9]+)')


def kline(
    topic: str,
    interval: str,
    timeframe: Timeframe,
    listing: Listing,
    bars: Sequence[tuple[Bar, bool]],
    now_ms: int,
) -> bytes:
    """Write some bars of one pair as they stand, each with whether it is closed."""
    data = [_candle(bar, interval, timeframe, listing, closed, now_ms) for bar, closed in bars]
    return orjson.dumps({"topic": topic, "type": SNAPSHOT, "ts": now_ms, "data": data})


def _candle(
    bar: Bar, interval: str, timeframe: Timeframe, listing: Listing, closed: bool, now_ms: int
) -> dict:
    decimals = listing.decimals
    turnover = bar.quote // 10**decimals
    return {
        "start": bar.open_ms,
        "end": bar.open_ms + timeframe.ms - 1,
        "interval": interval,
        "open": short(bar.open, decimals),
        "close": short(bar.close, decimals),
        "high": short(bar.high, decimals),
        "low": short(bar.low, decimals),
        "volume": short(bar.volume, VOLUME_DECIMALS),
        "turnover": short(turnover, VOLUME_DECIMALS),
        "confirm": closed,
        "timestamp": now_ms,
    }


def ticker(topic: str, kind: str, data: dict, sequence: int, now_ms: int) -> bytes:
    """Write a ticker, the whole of it or what of it has changed."""
    told = {"topic": topic, "type": kind, "data": data, "cs": sequence, "ts": now_ms}
    return orjson.dumps(told)


def dated(payload: bytes, now_ms: int) -> bytes:
    """Return a frame as one that was sent at another time."""
    return _SENT.sub(b'"ts":%d' % now_ms, payload)


def close_early(payload: bytes, way: str) -> bytes:
    """Return an open candle's frame as the closing one of its bar, or of the bar after it."""
    closed = payload.replace(_OPEN, b'"confirm":true')
    if way != "later":
        return closed

    def later(found: re.Match) -> bytes:
        start, end = map(int, found.groups())
        return b'"start":%d,"end":%d' % (end + 1, 2 * end + 1 - start)

    return _START.sub(later, closed)
