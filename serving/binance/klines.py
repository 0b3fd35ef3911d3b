"""Rows of candles as Binance writes them (rest-api.md, "Kline/Candlestick data")."""

from livermore.market.columns import read_columns
from livermore.market.decimal_text import plain
from serving.candles.derived import AnyTimeframe
from serving.candles.windows import Window

FORM = "binance"
DECIMALS = 8  # of every price and volume
UNKNOWN = "null"  # of a column that the venue doesn't tell


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


def rows_of(window: Window, timeframe: AnyTimeframe) -> list[bytes]:
    """Return all closed candles of a window as rows, which are made once."""
    if FORM not in window.rendered:
        window.rendered[FORM] = [row(each, timeframe) for each in window.rows]
    return window.rendered[FORM]


def body(rows: list[bytes], open_row: list | None, timeframe: AnyTimeframe) -> bytes:
    """Return the answer that holds these rows, and the open candle behind them."""
    if open_row is not None:
        rows = [*rows, row(open_row, timeframe)]
    return b"[" + b",".join(rows) + b"]"
