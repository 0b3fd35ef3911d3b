"""What Kraken's channels say, as bytes: numbers are those of JSON (version 2, September 2026)."""

import re

import orjson

from exchanges.sandbox.kraken.commands import OHLC, TICKER, microseconds
from exchanges.sandbox.kraken.listing import native_name
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.listings import Listing
from livermore.market.timeframe import MINUTE_MS, Timeframe

UNIT = 10**VOLUME_DECIMALS
HEARTBEAT = b'{"channel":"heartbeat"}'
SNAPSHOT, UPDATE = "snapshot", "update"
_DATED = re.compile(rb'("type":"update","timestamp":")[^"]*')


def status(connection_id: int, system: str = "online") -> bytes:
    told = {
        "version": "2.0.10",
        "system": system,
        "api_version": "v2",
        "connection_id": connection_id,
        "upcoming_maintenance": [],
        "emergency": [],
    }
    return orjson.dumps({"channel": "status", "type": UPDATE, "data": [told]})


def candles(
    kind: str, listing: Listing, timeframe: Timeframe, bars: list[Bar], now_ms: int
) -> bytes:
    """Write bars, oldest first; `timestamp` within each is when it ends."""
    rows = [_candle(listing, timeframe, bar) for bar in bars]
    return _frame(OHLC, kind, now_ms, rows)


def ticker(kind: str, listing: Listing, day: Bar, now_ms: int) -> bytes:
    tick, lot = 10**listing.decimals, listing.lot / UNIT
    told = {
        "symbol": native_name(listing),
        "bid": (day.close - 1) / tick,
        "bid_qty": lot,
        "ask": (day.close + 1) / tick,
        "ask_qty": lot,
        "last": day.close / tick,
        "volume": day.volume / UNIT,
        "vwap": _average(day, listing),
        "low": day.low / tick,
        "high": day.high / tick,
        "change": (day.close - day.open) / tick,
        "change_pct": round((day.close - day.open) / day.open * 100, 2),
        "trades": day.trades,
        "timestamp": microseconds(now_ms),
    }
    return _frame(TICKER, kind, now_ms, [told])


def dated(payload: bytes, now_ms: int) -> bytes:
    """Return an update as one that was sent at another time."""
    return _DATED.sub(rb"\g<1>" + _nanoseconds(now_ms).encode(), payload, count=1)


def _candle(listing: Listing, timeframe: Timeframe, bar: Bar) -> dict:
    tick = 10**listing.decimals
    return {
        "symbol": native_name(listing),
        "open": bar.open / tick,
        "high": bar.high / tick,
        "low": bar.low / tick,
        "close": bar.close / tick,
        "trades": bar.trades,
        "volume": bar.volume / UNIT,
        "vwap": _average(bar, listing),
        "interval_begin": _nanoseconds(bar.open_ms),
        "interval": timeframe.ms // MINUTE_MS,
        "timestamp": microseconds(bar.open_ms + timeframe.ms),
    }


def _average(bar: Bar, listing: Listing) -> float:
    tick = 10**listing.decimals
    return (bar.quote // bar.volume if bar.volume else bar.close) / tick


def _frame(channel: str, kind: str, now_ms: int, rows: list[dict]) -> bytes:
    told = {"channel": channel, "type": kind, "timestamp": _nanoseconds(now_ms), "data": rows}
    return orjson.dumps(told)


def _nanoseconds(time_ms: int) -> str:
    return f"{microseconds(time_ms)[:-1]}000Z"
