"""Rows of candles as Binance writes them (rest-api.md, "Kline/Candlestick data")."""

import re
from collections.abc import Sequence

import orjson

from livermore.market.columns import read_columns
from livermore.market.decimal_text import plain
from livermore.market.derived import AnyTimeframe
from serving.memory.rendered import Rendered
from serving.memory.stored import StoredRows
from serving.memory.windows import Window

FORM = "binance"
DECIMALS = 8  # of every price and volume
UNKNOWN = "null"  # of a column that the venue doesn't tell
# A row as nearly all are stored: its numbers lack nothing but zeros at their ends.
NUMBER = rb",(\d{1,40}+)\.(\d{1,40}+)"
USUAL = re.compile(rb"\[(\d{1,15}+)%b(?:%b,(\d{1,15}+)%b)?+\]" % (NUMBER * 5, NUMBER, NUMBER * 2))
ZERO = b"0"
SIX = b'[%b,"%b.%b","%b.%b","%b.%b","%b.%b","%b.%b",%d,null,null,null,null,"0"]'
TEN = SIX.replace(b"null,null,null,null", b'"%b.%b",%b,"%b.%b","%b.%b"')


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


def rows_of(rows: StoredRows, first: int, last: int, timeframe: AnyTimeframe) -> list[bytes]:
    """Write the rows `[first, last)` of their JSON: at once where all are as nearly all are."""
    usual = USUAL.findall(rows.json(first, last))
    if len(usual) == last - first:
        return [_written(each, timeframe.ms) for each in usual]
    return [row_of(each, timeframe) for each in rows.texts(first, last)]


def row_of(stored: bytes, timeframe: AnyTimeframe) -> bytes:
    """Write a row of its JSON, a fifth of the work where no number has to be read for that."""
    usual = USUAL.fullmatch(stored)
    if usual is None:
        return row(orjson.loads(stored), timeframe)
    return _written(usual.groups(b""), timeframe.ms)


def _written(parts: Sequence[bytes], length_ms: int) -> bytes:
    """Write a row of its numbers, those with decimals cut at their point.

    These are `a` to `e` up to the volume, and `f` to `h` of the other columns, "" where none has
    those.
    """
    opened, a, a_, b, b_, c, c_, d, d_, e, e_, f, f_, trades, g, g_, h, h_ = parts
    end_ms = int(opened) + length_ms - 1
    a_, b_, c_ = a_.ljust(DECIMALS, ZERO), b_.ljust(DECIMALS, ZERO), c_.ljust(DECIMALS, ZERO)
    d_, e_ = d_.ljust(DECIMALS, ZERO), e_.ljust(DECIMALS, ZERO)
    if not f:
        return SIX % (opened, a, a_, b, b_, c, c_, d, d_, e, e_, end_ms)
    f_, g_, h_ = f_.ljust(DECIMALS, ZERO), g_.ljust(DECIMALS, ZERO), h_.ljust(DECIMALS, ZERO)
    return TEN % (opened, a, a_, b, b_, c, c_, d, d_, e, e_, end_ms, f, f_, trades, g, g_, h, h_)


def body(
    window: Window, first: int, last: int, open_row: list | None, timeframe: AnyTimeframe
) -> bytes:
    """Return the answer that holds the closed candles `[first, last)`, and the open one behind.

    Each closed one is written once for all answers.
    """
    known = window.rendered.get(FORM) or Rendered.of(first, [])

    def write(start: int, end: int) -> list[bytes]:
        return rows_of(window.rows, start, end, timeframe)

    known = window.rendered[FORM] = known.covering(first, last, write)
    closed = known.between(first, last)
    if open_row is None:
        return b"".join((b"[", closed, b"]"))
    if window.open_row is None or window.open_row[0] != open_row:
        window.open_row = open_row, row(open_row, timeframe)
    comma = b"," if closed else b""
    return b"".join((b"[", closed, comma, window.open_row[1], b"]"))
