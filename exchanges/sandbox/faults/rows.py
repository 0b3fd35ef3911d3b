"""Ways to spoil one row of a candle reply, the same for every protocol."""

from collections.abc import Callable
from typing import Any, NamedTuple
from zlib import crc32


class CandleRows(NamedTuple):
    """Where a protocol keeps a candle's fields: list positions, or names.

    `table` is the path to the list of rows in a reply, such as `result.list`, in which `*` is the
    first list there whatever its name; None where the reply is that list.
    """

    time: int | str
    open: int | str
    high: int | str
    low: int | str
    close: int | str
    volume: int | str
    ms: int  # milliseconds in one unit of its time
    table: str | None = None

    def time_ms(self, row: Any) -> int:
        return int(row[self.time]) * self.ms

    def rows_in(self, content: Any) -> list:
        """Return the rows of a parsed reply; nothing where it has none, as an error has not."""
        return found_at(self.table, content)


def found_at(path: str | None, content: Any) -> list:
    """Return the list at a path of names, apart by dots; an empty one where there is none."""
    found = value_at(path, content)
    return found if isinstance(found, list) else []


def value_at(path: str | None, content: Any) -> Any:
    """Return what is at a path, None where nothing is."""
    for name in path.split(".") if path else ():
        within = content if isinstance(content, dict) else {}
        lists = (each for each in within.values() if isinstance(each, list))
        content = next(lists, None) if name == "*" else within.get(name)
    return content


def spoil(rows: list, way: str, at: int | None, form: CandleRows) -> None:
    """Change `rows` in place the way a broken exchange might; `at` None is the middle row."""
    if rows:
        at = len(rows) // 2 if at is None else min(at, len(rows) - 1)
        BAD_ROWS[way](rows, at, form)


def leave_out(rows: list, open_times: list[int], form: CandleRows, chance: float = 0) -> list:
    """Return the rows that don't open at one of `open_times`, in milliseconds.

    `chance` leaves out that share of them more, by their time alone: an outage is one for all
    symbols, and the same at every look.
    """
    times = [form.time_ms(row) for row in rows]
    return [
        row
        for row, time_ms in zip(rows, times, strict=True)
        if time_ms not in open_times and crc32(b"%d" % time_ms) / 2**32 >= chance
    ]


def _low_above_high(rows: list, at: int, form: CandleRows) -> None:
    row = rows[at]
    row[form.low] = str(float(row[form.high]) * 2)


def _with(column: str, value: object) -> Callable[[list, int, CandleRows], None]:
    def change(rows: list, at: int, form: CandleRows) -> None:
        rows[at][getattr(form, column)] = value

    return change


def _time(change: Callable[[int], int]) -> Callable[[list, int, CandleRows], None]:
    def apply(rows: list, at: int, form: CandleRows) -> None:
        """Keep the type: a number in some protocols, text in others."""
        told = rows[at][form.time]
        rows[at][form.time] = type(told)(change(int(told) * form.ms))

    return apply


def _off_boundary(rows: list, at: int, form: CandleRows) -> None:
    told = rows[at][form.time]
    rows[at][form.time] = type(told)(int(told) + 7000 // form.ms)


def _duplicate(rows: list, at: int, form: CandleRows) -> None:
    rows.insert(at, rows[at].copy())


def _out_of_order(rows: list, at: int, form: CandleRows) -> None:
    other = at - 1 if at else len(rows) - 1
    rows[at], rows[other] = rows[other], rows[at]


def _missing_field(rows: list, at: int, form: CandleRows) -> None:
    del rows[at][form.volume]


BAD_ROWS: dict[str, Callable[[list, int, CandleRows], None]] = {
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
