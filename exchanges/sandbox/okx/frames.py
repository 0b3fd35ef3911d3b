"""What OKX's channels say, as bytes (v5 documents, July 2026)."""

import re

import orjson

from exchanges.sandbox.market.bars import Bar
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.okx.listing import native_name
from exchanges.sandbox.okx.rest import BARS, row
from exchanges.sandbox.okx.tickers import day_ticker

TICKERS = "tickers"
CHANNELS = {timeframe: f"candle{name}" for name, timeframe in BARS.items()}
_LENGTHS = {f"candle{name}": timeframe.ms for name, timeframe in BARS.items()}


def candle(channel: str, listing: Listing, bar: Bar, is_closed: bool) -> bytes:
    return _push(channel, listing, row(bar, listing, is_closed))


def ticker(listing: Listing, day: Bar, now_ms: int) -> bytes:
    return _push(TICKERS, listing, day_ticker(listing, day, now_ms))


def dated(payload: bytes, now_ms: int) -> bytes:
    """Return a ticker's frame as one of another time; those of candles have none."""
    return re.sub(rb'"ts":"\d+"', b'"ts":"%d"' % now_ms, payload, count=1)


def close_early(payload: bytes, way: str) -> bytes:
    """Return an open candle's frame as the closing one of its bar, or "later" of the next bar."""
    content = orjson.loads(payload)
    told = content["data"][0]
    told[-1] = "1"
    if way == "later":
        told[0] = str(int(told[0]) + _LENGTHS[content["arg"]["channel"]])
    return orjson.dumps(content)


def _push(channel: str, listing: Listing, told: object) -> bytes:
    arg = {"channel": channel, "instId": native_name(listing)}
    return orjson.dumps({"arg": arg, "data": [told]})
