"""Ways to spoil one row of a candle reply, the same for both protocols."""

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32


class Columns(NamedTuple):
    """Where a protocol keeps a candle's fields: list positions, or names."""

    time: int | str
    open: int | str
    high: int | str
    low: int | str
    close: int | str
    volume: int | str
    ms: int  # milliseconds in one unit of its time


def spoil(rows: list, way: str, at: int | None, columns: Columns) -> None:
    """Change `rows` in place the way a broken exchange might; `at` None is the middle row."""
    if rows:
        at = len(rows) // 2 if at is None else min(at, len(rows) - 1)
        BAD_ROWS[way](rows, at, columns)


def leave_out(rows: list, open_times: list[int], columns: Columns, chance: float = 0) -> list:
    """Return the rows that don't open at one of `open_times`, in milliseconds.

    `chance` leaves out that share of them more, by their time alone: an outage is one for all
    symbols, and the same at every look.
    """
    times = [int(row[columns.time]) * columns.ms for row in rows]
    return [
        row
        for row, time_ms in zip(rows, times, strict=True)
        if time_ms not in open_times and crc32(b"%d" % time_ms) / 2**32 >= chance
    ]


def _low_above_high(rows: list, at: int, columns: Columns) -> None:
    row = rows[at]
    row[columns.low] = str(float(row[columns.high]) * 2)


def _with(column: str, value: object) -> Callable[[list, int, Columns], None]:
    def change(rows: list, at: int, columns: Columns) -> None:
        rows[at][getattr(columns, column)] = value

    return change


def _time(change: Callable[[int], int]) -> Callable[[list, int, Columns], None]:
    def apply(rows: list, at: int, columns: Columns) -> None:
        """Keep the type: a number in one protocol, text in the other."""
        told = rows[at][columns.time]
        rows[at][columns.time] = type(told)(change(int(told) * columns.ms))

    return apply


def _off_boundary(rows: list, at: int, columns: Columns) -> None:
    told = rows[at][columns.time]
    rows[at][columns.time] = type(told)(int(told) + 7000 // columns.ms)


def _duplicate(rows: list, at: int, columns: Columns) -> None:
    rows.insert(at, rows[at].copy())


def _out_of_order(rows: list, at: int, columns: Columns) -> None:
    other = at - 1 if at else len(rows) - 1
    rows[at], rows[other] = rows[other], rows[at]


def _missing_field(rows: list, at: int, columns: Columns) -> None:
    del rows[at][columns.volume]


BAD_ROWS: dict[str, Callable[[list, int, Columns], None]] = {
    "low_above_high": _low_above_high,
    "nan": _with("close", "NaN"),
    "infinity": _with("high", "Infinity"),
    "text": _with("open", "n/a"),
    "null": _with("close", None),
    "zero_price": _with("low", "0"),
    "negative_volume": _with("volume", "-1.5"),
    "missing_field": _missing_field,
    "off_boundary": _off_boundary,
    "seconds": _time(lambda ms: ms // 1000),
    "milliseconds": _time(lambda ms: ms),
    "microseconds": _time(lambda ms: ms * 1000),
    "duplicate": _duplicate,
    "out_of_order": _out_of_order,
}
