"""Binance's streams: their names, and what their frames say (web-socket-streams.md)."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from livermore.market.candle import Ticker
from livermore.market.columns import COLUMNS, read_columns
from livermore.market.timeframe import Timeframe
from serving.binance.klines import decimal
from serving.directory import ServedExchange
from serving.streams.hub import Topic

KLINE, TICKER, MINI_TICKER = "kline", "ticker", "miniTicker"
FORM = re.compile(r"([^@\s]{1,50})@(?:kline_([0-9a-zA-Z]{1,4})|(ticker|miniTicker))")
INTERVALS = {str(each): each for each in Timeframe}
KINDS_SERVED = "klines of 1m 5m 15m 1h 4h 1d, ticker and miniTicker"


class UnknownStream(Exception):
    """A stream that nothing would ever come of: its text says why."""


def topic_of(exchange: ServedExchange, name: str) -> Topic:
    """Return what a stream's name, in lower case but for its kind, stands for.

    Raises UnknownStream, as waiting for what never comes is worse than a refusal.
    """
    form = FORM.fullmatch(name)
    if form is None or (form[2] and form[2] not in INTERVALS):
        raise UnknownStream(f"{name} is not served here: there are {KINDS_SERVED}")
    symbol = exchange.symbols.get(form[1].upper())
    if symbol is None:
        raise UnknownStream(f"{exchange.name} has no symbol {form[1].upper()}")
    if not symbol.is_monitored:
        raise UnknownStream(f"{exchange.name} keeps no {symbol.symbol} live: let it be monitored")
    kind = KLINE if form[2] else form[3]
    return Topic(exchange.exchange_id, kind, symbol.symbol, form[2] or "")


def kline(message: Mapping[str, Any], word: str, now_ms: int, is_closed: bool) -> bytes:
    """Return the payload of a kline stream, of a message of ours about a candle."""
    timeframe = INTERVALS[message["timeframe"]]
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
