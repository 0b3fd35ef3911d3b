"""Binance's streams: their names, and what their frames say (web-socket-streams.md)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from livermore.market.candle import Ticker
from livermore.market.columns import COLUMNS, read_columns
from livermore.market.derived import BY_TEXT
from livermore.market.timeframe import Timeframe
from serving.binance.klines import decimal
from serving.directory import ServedExchange
from serving.streams.hub import Topic

KLINE, TICKER, MINI_TICKER = "kline", "ticker", "miniTicker"
NAME = re.compile(r"([^@\s]{1,50})@(kline_|)([0-9a-zA-Z]{1,20})(@\+08:00|)")
KINDS = "there are kline_<interval>, ticker and miniTicker"
ALL_MINI = "!miniTicker@arr"
ALL_MINI_TIMED = f"{ALL_MINI}@1000ms"  # the same, as some programs call it
NO_BOOK = "no bids and asks are kept"
INTERVALS = f"klines are of {' '.join(sorted(BY_TEXT, key=lambda text: BY_TEXT[text].ms))}"
EIGHT_HOURS_MS = 8 * Timeframe.H1.ms
IN_UTC = "its bars open by UTC alone"
SHUTDOWN = "!serverShutdown"
TIMES = re.compile(rb'"([EtTOC])":(\d+)')


class UnknownStream(Exception):
    """A stream that nothing would ever come of: its text says why."""


def topic_of(exchange: ServedExchange, name: str) -> Topic:
    """Return what a stream's name stands for, whatever the case of its symbol.

    Raises UnknownStream, as waiting for what never comes is worse than a refusal.
    """
    if name in (ALL_MINI, ALL_MINI_TIMED):
        return Topic(exchange.exchange_id, MINI_TICKER, "")
    symbol_word, kind, timeframe = _parts(name)
    symbol = exchange.find(symbol_word)
    if symbol is None:
        raise UnknownStream(f"{exchange.name} has no symbol {symbol_word}")
    if not symbol.is_monitored:
        raise UnknownStream(f"{exchange.name} keeps no {symbol.symbol} live: let it be monitored")
    return Topic(exchange.exchange_id, kind, symbol.symbol, timeframe)


def _parts(name: str) -> tuple[str, str, str]:
    """Return symbol, kind and timeframe of a stream's name. Raises UnknownStream."""
    form = NAME.fullmatch(name)
    if name.startswith("!"):
        raise _not_served(name, f"of all symbols there is {ALL_MINI}")
    if form is None:
        raise _not_served(name, KINDS)
    word, kline, rest, zone = form.groups()
    if not kline:
        if rest not in (TICKER, MINI_TICKER) or zone:
            raise _not_served(name, NO_BOOK if rest == "bookTicker" else KINDS)
        return word.upper(), rest, ""
    if rest not in BY_TEXT:
        raise _not_served(name, INTERVALS)
    if zone and EIGHT_HOURS_MS % BY_TEXT[rest].ms:
        raise _not_served(name, IN_UTC)
    return word.upper(), KLINE, rest


def _not_served(name: str, why: str) -> UnknownStream:
    return UnknownStream(f"{name[:60]} is not served here: {why}")


class Form(NamedTuple):
    """How a client wants a stream: with its `name` about it, with its times in microseconds."""

    name: str
    in_microseconds: bool

    def write(self, payload: bytes) -> bytes:
        if self.in_microseconds:
            payload = TIMES.sub(_in_microseconds, payload)
        if self.name:
            return b'{"stream":%s,"data":%s}' % (orjson.dumps(self.name), payload)
        return payload


def _in_microseconds(found: re.Match[bytes]) -> bytes:
    # A bar's end is its last moment: it ends with nines, however fine the unit.
    return b'"%b":%b%b' % (found[1], found[2], b"999" if found[1] == b"T" else b"000")


def server_shutdown(now_ms: int) -> bytes:
    """Return the payload that tells a client to connect anew."""
    return orjson.dumps({"e": "serverShutdown", "E": now_ms})


def kline(message: Mapping[str, Any], word: str, now_ms: int, is_closed: bool) -> bytes:
    """Return the payload of a kline stream, of a message of ours about a candle."""
    timeframe = BY_TEXT[message["timeframe"]]
    opened = message["timestamp"]
    numbers = {
        letter: decimal(message[name])
        for letter, name in (("o", "open"), ("c", "close"), ("h", "high"), ("l", "low"))
    }
    columns = read_columns([message.get(name) for name in COLUMNS])
    quote, trades, taken, paid = columns or (None, None, None, None)
    bar = {
        "t": opened,
        "T": opened + timeframe.ms - 1,
        "s": word,
        "i": str(timeframe),
        "f": -1,
        "L": -1,
        **numbers,
        "v": decimal(message["volume"]),
        "n": trades,
        "x": is_closed,
        "q": _known(quote),
        "V": _known(taken),
        "Q": _known(paid),
        "B": "0",
    }
    return orjson.dumps({"e": "kline", "E": now_ms, "s": word, "k": bar})


def _known(number: float | None) -> str | None:
    return None if number is None else decimal(number)


def ticker(told: Ticker, word: str, now_ms: int) -> bytes:
    """Return the payload of a ticker stream."""
    before = told.price - told.change_24h
    content = {
        "e": "24hrTicker",
        "E": now_ms,
        "s": word,
        "p": decimal(told.change_24h),
        "P": f"{told.change_percent_24h:.3f}",
        "w": None,
        "x": None,
        "c": decimal(told.price),
        "Q": None,
        "b": None,
        "B": None,
        "a": None,
        "A": None,
        "o": decimal(before),
        "h": decimal(told.high_24h),
        "l": decimal(told.low_24h),
        "v": decimal(told.volume_24h),
        "q": None,
        "O": told.timestamp - Timeframe.D1.ms,
        "C": told.timestamp,
        "F": None,
        "L": None,
        "n": None,
    }
    return orjson.dumps(content)


def mini_ticker(told: Ticker, word: str, now_ms: int) -> bytes:
    """Return the payload of a miniTicker stream."""
    content = {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": word,
        "c": decimal(told.price),
        "o": decimal(told.price - told.change_24h),
        "h": decimal(told.high_24h),
        "l": decimal(told.low_24h),
        "v": decimal(told.volume_24h),
        "q": None,
    }
    return orjson.dumps(content)
