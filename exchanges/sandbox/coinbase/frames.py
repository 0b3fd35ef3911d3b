"""What Coinbase's channels say (Advanced Trade WebSocket, September 2026)."""

from datetime import UTC, datetime
from zlib import crc32

import orjson

from exchanges.sandbox.coinbase.rest import candle_json
from exchanges.sandbox.coinbase.tickers import newest_trades, trade_json
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar, Trade
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.symbol import SymbolMarket
from livermore.market.timeframe import Timeframe

SNAPSHOT_ROWS = 100
SNAPSHOT_TRADES = 50
_SNAPSHOT_SPAN = 165  # buckets that the snapshot's rows are taken from: it is known to have holes


def envelope(channel: str, sequence: int, now_ms: int, event: bytes) -> bytes:
    """Wrap one event; the sequence number makes it one connection's own."""
    text = b'{"channel":"%s","timestamp":"%s","sequence_num":%d,"events":[%s]}'
    return text % (channel.encode(), _nanoseconds(now_ms).encode(), sequence, event)


def heartbeat(now_ms: int, counter: int) -> bytes:
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    told = f"{moment:%Y-%m-%d %H:%M:%S}.{now_ms % 1000:03d} +0000 UTC m=+{counter}.{now_ms % 1000}"
    return orjson.dumps({"current_time": told, "heartbeat_counter": counter})


def candles_snapshot(symbol_market: SymbolMarket, now_ms: int) -> bytes:
    """Write up to 100 buckets, newest first, the open one among them, with some left out."""
    timeframe, newest_ms = Timeframe.M5, Timeframe.M5.floor(now_ms)
    oldest_ms = newest_ms - (_SNAPSHOT_SPAN - 1) * timeframe.ms
    bars = symbol_market.bars_at(timeframe, oldest_ms, newest_ms, now_ms)
    told = [
        bar
        for bar in reversed(bars)
        if bar.open_ms == newest_ms or crc32(b"%d" % bar.open_ms) % 8 < 5
    ]
    return candles("snapshot", symbol_market, told[:SNAPSHOT_ROWS])


def candles(kind: str, symbol_market: SymbolMarket, bars: list[Bar]) -> bytes:
    """Write buckets with their product's name, those without a trade left out."""
    symbol, decimals = symbol_market.listing.symbol, symbol_market.listing.decimals
    rows = [candle_json(bar, decimals) | {"product_id": symbol} for bar in bars if bar.trades]
    return orjson.dumps({"type": kind, "candles": rows})


def trades_snapshot(symbol_market: SymbolMarket, now_ms: int) -> bytes:
    return trades(
        "snapshot", symbol_market, newest_trades(symbol_market, 0, now_ms, SNAPSHOT_TRADES)
    )


def trades(kind: str, symbol_market: SymbolMarket, newest_first: list[Trade]) -> bytes:
    symbol, decimals = symbol_market.listing.symbol, symbol_market.listing.decimals
    rows = [trade_json(trade, symbol, decimals) for trade in newest_first]
    return orjson.dumps({"type": kind, "trades": rows})


def ticker(kind: str, symbol_market: SymbolMarket, day: Bar, batch: bool) -> bytes:
    """Write the last 24 hours; the year's range is made up. `batch` has no bid and ask."""
    decimals = symbol_market.listing.decimals
    told = {
        "type": "ticker",
        "product_id": symbol_market.listing.symbol,
        "price": short(day.close, decimals),
        "volume_24_h": short(day.volume, VOLUME_DECIMALS),
        "low_24_h": short(day.low, decimals),
        "high_24_h": short(day.high, decimals),
        "low_52_w": short(day.low // 2, decimals),
        "high_52_w": short(day.high * 2, decimals),
        "price_percent_chg_24_h": f"{(day.close - day.open) / day.open * 100:.14f}",
    }
    if not batch:
        lot = short(symbol_market.listing.lot, VOLUME_DECIMALS)
        told |= {
            "best_bid": short(day.close - 1, decimals),
            "best_bid_quantity": lot,
            "best_ask": short(day.close + 1, decimals),
            "best_ask_quantity": lot,
        }
    return orjson.dumps({"type": kind, "tickers": [told]})


def _nanoseconds(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}000000Z"
