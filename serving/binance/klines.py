"""Rows of candles as Binance writes them (rest-api.md, "Kline/Candlestick data")."""

import re

import orjson

from livermore.market.columns import read_columns
from livermore.market.decimal_text import plain
from livermore.market.derived import AnyTimeframe
from serving.memory.rendered import Rendered
from serving.memory.windows import Window

FORM = "binance"
DECIMALS = 8  # of every price and volume
UNKNOWN = "null"  # of a column that the venue doesn't tell
# A row as nearly all are stored: its numbers lack nothing but zeros at their ends.
NUMBER = rb",(\d{1,40}\.\d{1,40})"
USUAL = re.compile(rb"\[(\d{1,15})%b(?:%b,(\d{1,15})%b)?\]" % (NUMBER * 5, NUMBER, NUMBER * 2))
ZEROS = {DECIMALS + 1 - count: b"0" * count for count in range(DECIMALS)}


def decimal(value: float) -> str:
    """Write a number with eight decimals, more only where it has them."""
    whole, _, fraction = plain(value).partition(".")
    return f"{whole}.{fraction:0<{DECIMALS}}"


def row(values: list, timeframe: AnyTimeframe) -> bytes:
    """Write a closed or open candle, `[timestamp, open, high, low, close, volume, …]`, as a row."""
    opened, *numbers = values[:6]
    texts = ",".join(f'"{decimal(number)}"' for number in numbers)
    end_ms = opened + timeframe.ms - 1
    others = f"{UNKNOWN},{UNKNOWN},{UNKNOWN},{UNKNOWN}"
    if columns := read_columns(values[6:]):
        quote, trades, taken, paid = columns
        others = f'"{decimal(quote)}",{trades},"{decimal(taken)}","{decimal(paid)}"'
    return f'[{opened},{texts},{end_ms},{others},"0"]'.encode()


def row_of(stored: bytes, timeframe: AnyTimeframe) -> bytes:
    """Write a row of its JSON, a fifth of the work where no number has to be read for that."""
    usual = USUAL.fullmatch(stored)
    if usual is None:
        return row(orjson.loads(stored), timeframe)
    opened, first, high, low, last, volume, quote, trades, taken, paid = usual.groups()
    end_ms = int(opened) + timeframe.ms - 1
    texts = (_padded(first), _padded(high), _padded(low), _padded(last), _padded(volume))
    if quote is None:
        return b'[%b,"%b","%b","%b","%b","%b",%d,null,null,null,null,"0"]' % (
            *(opened, *texts, end_ms),
        )
    others = _padded(quote), trades, _padded(taken), _padded(paid)
    return b'[%b,"%b","%b","%b","%b","%b",%d,"%b",%b,"%b","%b","0"]' % (
        *(opened, *texts, end_ms, *others),
    )


def _padded(number: bytes) -> bytes:
    return number + ZEROS.get(len(number) - number.index(b"."), b"")


def body(
    window: Window, first: int, last: int, open_row: list | None, timeframe: AnyTimeframe
) -> bytes:
    """Return the answer that holds the closed candles `[first, last)`, and the open one behind.

    Each closed one is written once for all answers.
    """
    known = window.rendered.get(FORM) or Rendered.of(first, [])

    def write(start: int, end: int) -> list[bytes]:
        return [row_of(each, timeframe) for each in window.rows.texts(start, end)]

    known = window.rendered[FORM] = known.covering(first, last, write)
    closed = known.between(first, last)
    if open_row is None:
        return b"".join((b"[", closed, b"]"))
    if window.open_row is None or window.open_row[0] != open_row:
        window.open_row = open_row, row(open_row, timeframe)
    comma = b"," if closed else b""
    return b"".join((b"[", closed, comma, window.open_row[1], b"]"))
