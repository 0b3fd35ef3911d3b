"""What Binance's streams say, as bytes (web-socket-streams.md, July 2026)."""

import re

import orjson

from exchanges.sandbox.binance.listing import native_name
from exchanges.sandbox.binance.tickers import day_ticker
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import eight
from exchanges.sandbox.market.listings import Listing
from livermore.market.timeframe import Timeframe

SHUTDOWN_STREAM = "!serverShutdown"
_TICKER = {
    "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice",
    "c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice",
    "A": "askQty", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume",
    "q": "quoteVolume", "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId",
    "n": "count",
}  # fmt: skip
_MINI = {
    "c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume",
    "q": "quoteVolume",
}  # fmt: skip


class KlineFrames:
    """Writes one listing's klines of one timeframe.

    By hand like REST's rows and with the same numbers: this is most of what a sandbox sends.
    """

    def __init__(self, listing: Listing, timeframe: Timeframe):
        self._tick, self._span = 10**listing.decimals, timeframe.ms - 1
        price = f'"%d.%0{listing.decimals}d{"0" * (8 - listing.decimals)}"'
        units = '"%d.%08d"'
        name = f'"s":"{native_name(listing)}"'
        self._text = (
            f'{{"e":"kline","E":%d,{name},"k":{{"t":%d,"T":%d,{name},"i":"{timeframe}",'
            f'"f":%d,"L":%d,"o":{price},"c":{price},"h":{price},"l":{price},"v":{units},'
            f'"n":%d,"x":%s,"q":{units},"V":{units},"Q":{units},"B":"0"}}}}'
        )

    def write(self, bar: Bar, now_ms: int, closing: bool) -> bytes:
        open_ms, o, high, low, close, volume, trades, quote, first_id, taken, paid = bar
        tick, unit = self._tick, 10**VOLUME_DECIMALS
        quote, paid = quote // tick, paid // tick
        first, last = (first_id, first_id + trades - 1) if trades else (-1, -1)
        return (
            self._text % (
                now_ms, open_ms, open_ms + self._span, first, last,
                o // tick, o % tick, close // tick, close % tick,
                high // tick, high % tick, low // tick, low % tick, volume // unit, volume % unit,
                trades, "true" if closing else "false", quote // unit, quote % unit,
                taken // unit, taken % unit, paid // unit, paid % unit,
            )
        ).encode()  # fmt: skip


def ticker(listing: Listing, day: Bar, now_ms: int) -> bytes:
    told = day_ticker(listing, day, now_ms, mini=False)
    content = {"e": "24hrTicker", "E": now_ms, "s": native_name(listing)}
    return orjson.dumps(content | {letter: told[name] for letter, name in _TICKER.items()})


def mini_ticker(listing: Listing, day: Bar, now_ms: int) -> bytes:
    told = day_ticker(listing, day, now_ms, mini=True)
    content = {"e": "24hrMiniTicker", "E": now_ms, "s": native_name(listing)}
    return orjson.dumps(content | {letter: told[name] for letter, name in _MINI.items()})


def book_ticker(listing: Listing, price: int, update_id: int) -> bytes:
    """Write the best bid and ask: a tick around the last price. No `e`, no time."""
    lot = eight(listing.lot, VOLUME_DECIMALS)
    content = {
        "u": update_id,
        "s": native_name(listing),
        "b": eight(price - 1, listing.decimals),
        "B": lot,
        "a": eight(price + 1, listing.decimals),
        "A": lot,
    }
    return orjson.dumps(content)


def server_shutdown(now_ms: int) -> bytes:
    return orjson.dumps({"e": "serverShutdown", "E": now_ms})


def combined(stream: str, payload: bytes) -> bytes:
    """Wrap a payload as `/stream` connections get it."""
    return b'{"stream":"%s","data":%s}' % (stream.encode(), payload)


def dated(payload: bytes, now_ms: int) -> bytes:
    """Return a frame as one that was sent at another time."""
    return re.sub(rb'"E":\d+', b'"E":%d' % now_ms, payload, count=1)


def close_early(payload: bytes, way: str) -> bytes:
    """Return an open kline's frame as the closing one of its bar, or "later" of the next bar."""
    content = orjson.loads(payload)
    bar = content["k"]
    bar["x"] = True
    if way == "later":
        length = bar["T"] + 1 - bar["t"]
        bar["t"], bar["T"] = bar["t"] + length, bar["T"] + length
    return orjson.dumps(content)
