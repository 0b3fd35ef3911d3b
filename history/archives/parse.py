"""From the CSV of a bulk file to a table of candles, each as strictly checked as one over REST.

Columns are checked all at once: a month of minutes takes some ten milliseconds.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from exchanges.errors import BadPayload
from history import parquet
from livermore.market.candle import EARLIEST_MS
from livermore.market.columns import MOST_TRADES
from livermore.market.coverage import Coverage, Interval
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    import pyarrow

US = 1000  # microseconds in a millisecond
FIRST_US = EARLIEST_MS * US  # a time from here on is in microseconds: in ms it would be in 31968
WHOLE = ("timestamp", "close_time", "trades")
TOLD_TOGETHER = ("quote_volume", "trades", "taker_base", "taker_quote")


class Rows(NamedTuple):
    """The candles of a bulk file, sorted, and how many of its rows were none, or came twice."""

    table: "pyarrow.Table"
    refused: int


def parse(
    content: bytes, columns: Sequence[str], timeframe: Timeframe, start_ms: int, end_ms: int
) -> Rows:
    """Return the candles of a CSV, without or with a header, that open in `[start_ms, end_ms)`.

    `columns` are as in `exchanges.venue.Archive`. A row off the grid, outside of the stretch,
    with an end that is another timeframe's, or whose numbers are no candle is refused; of rows
    that tell the same bar all are. Raises BadPayload for what is no CSV of such columns.
    """
    read = _read(content, columns)
    table = _whole(read, timeframe, start_ms, end_ms)
    if table is None:
        table = _sorted(_in_ms(read, timeframe, start_ms, end_ms))
    return Rows(table, read.num_rows - table.num_rows)


def covered(table: "pyarrow.Table", timeframe: Timeframe) -> Coverage:
    """Return the stretches of the bars in a sorted table: of the others it says nothing."""
    times, length = parquet.times_of(table), timeframe.ms
    if not len(times):
        return ()
    if times[-1] - times[0] == (len(times) - 1) * length:
        return ((times[0], times[-1] + length),)
    found: list[Interval] = []
    start_ms = times[0]
    for before, time in pairwise(times):
        if time - before != length:
            found.append((start_ms, before + length))
            start_ms = time
    return (*found, (start_ms, times[-1] + length))


def _read(content: bytes, columns: Sequence[str]) -> "pyarrow.Table":
    arrow = parquet.library()
    from pyarrow import csv

    named = [name for name in columns if name in (*parquet.COLUMNS, "close_time")]
    types = {name: arrow.int64() if name in WHOLE else arrow.float64() for name in named}
    has_header = not content[:1].isdigit()
    try:
        return csv.read_csv(
            arrow.BufferReader(content),
            csv.ReadOptions(
                use_threads=False, column_names=list(columns), skip_rows=int(has_header)
            ),
            csv.ParseOptions(quote_char=False),
            csv.ConvertOptions(column_types=types, include_columns=named, null_values=[]),
        ).combine_chunks()
    except arrow.ArrowException as error:
        raise BadPayload(f"it is no CSV of {len(columns)} columns of numbers") from error


def _whole(
    read: "pyarrow.Table", timeframe: Timeframe, start_ms: int, end_ms: int
) -> "pyarrow.Table | None":
    """Return the rows in history's columns where all are candles, one after the other, else None.

    They nearly always are, and to find that out takes a quarter of the time.
    """
    if not read.num_rows:
        return None
    column = {name: read.column(name).chunk(0) for name in read.column_names}
    opened = _opened(column["timestamp"], column["close_time"], timeframe, start_ms, end_ms)
    if opened is None or not _all_sound(column):
        return None
    schema = parquet.schema()
    found = [column[name] for name in schema.names[1:]]
    return parquet.library().Table.from_arrays([opened, *found], schema=schema)


def _opened(time: Any, close: Any, timeframe: Timeframe, start_ms: int, end_ms: int) -> Any:
    """Return when bars opened, where each follows the one before it; None where one does not.

    Each has to end where the next one begins.
    """
    from pyarrow import compute as pc

    first, last = time[0].as_py(), time[-1].as_py()
    unit = US if first >= FIRST_US else 1
    step = timeframe.ms * unit
    if first % step or first < start_ms * unit or last >= end_ms * unit:
        return None
    if last - first != (len(time) - 1) * step:
        return None
    if not _are_between(pc.subtract(time[1:], time[:-1]), step, step):
        return None
    lasting = (timeframe.ms - 1) * unit
    if not _are_between(pc.subtract(close, time), lasting, lasting + unit - 1):
        return None
    told = parquet.library().timestamp("us" if unit == US else "ms", tz="UTC")
    return time.view(told).cast(parquet.schema().field(0).type)


def _all_sound(column: Mapping[str, Any]) -> bool:
    """Tell whether all numbers of a file make candles."""
    from pyarrow import compute as pc

    low, high = column["low"], column["high"]
    prices = [(low, column["open"]), (low, column["close"])]
    prices += [(column["open"], high), (column["close"], high)]
    if not all(pc.all(pc.less_equal(*each)).as_py() for each in prices):  # false for NaN
        return False
    if pc.min(low).as_py() <= 0 or not isfinite(pc.max(high).as_py()):
        return False  # with a number that is compared to a column pyarrow loads pandas
    amounts = [column[name] for name in ("volume", *TOLD_TOGETHER) if name != "trades"]
    return _are_between(column["trades"], 0, MOST_TRADES) and all(
        _are_between(each, 0.0, sys.float_info.max) and not pc.any(pc.is_nan(each)).as_py()
        for each in amounts
    )


def _are_between(numbers: Any, least: float, most: float) -> bool:
    """Tell whether all numbers are between two, both inclusive; of NaN that says nothing."""
    from pyarrow import compute as pc

    found = pc.min_max(numbers).as_py()
    return found["min"] is None or (found["min"] >= least and found["max"] <= most)


def _in_ms(
    read: "pyarrow.Table", timeframe: Timeframe, start_ms: int, end_ms: int
) -> "pyarrow.Table":
    """Return the rows that are candles, in history's columns."""
    from pyarrow import compute as pc

    time, close = read["timestamp"], read["close_time"]
    is_us = pc.greater_equal(time, FIRST_US)
    opened = pc.if_else(is_us, pc.divide(time, US), time)
    closes = pc.if_else(is_us, pc.divide(close, US), close)
    low, high = read["low"], read["high"]
    is_candle = _all(
        pc.or_(pc.invert(is_us), pc.equal(pc.multiply(opened, US), time)),
        pc.equal(pc.multiply(pc.divide(opened, timeframe.ms), timeframe.ms), opened),
        pc.equal(closes, pc.add(opened, timeframe.ms - 1)),
        *(pc.greater_equal(opened, start_ms), pc.less(opened, end_ms)),
        *(pc.greater(low, 0.0), pc.is_finite(high)),  # comparisons are false for NaN
        *(pc.less_equal(low, read["open"]), pc.less_equal(read["open"], high)),
        *(pc.less_equal(low, read["close"]), pc.less_equal(read["close"], high)),
        _is_amount(read["volume"]),
    )
    schema, arrays = parquet.schema(), {"timestamp": opened}
    are_known = _all(
        *(_is_amount(read[name]) for name in TOLD_TOGETHER if name != "trades"),
        *(pc.greater_equal(read["trades"], 0), pc.less_equal(read["trades"], MOST_TRADES)),
    )
    all_known = pc.all(are_known).as_py()
    for name in TOLD_TOGETHER:
        arrays[name] = read[name] if all_known else pc.if_else(are_known, read[name], None)
    found = [arrays.get(name, read[name]).cast(schema.field(name).type) for name in schema.names]
    table = parquet.library().Table.from_arrays(found, schema=schema)
    return table if pc.all(is_candle).as_py() else table.filter(is_candle)


def _is_amount(column: Any) -> Any:
    from pyarrow import compute as pc

    return pc.and_(pc.greater_equal(column, 0.0), pc.is_finite(column))


def _all(first: Any, *others: Any) -> Any:
    from pyarrow import compute as pc

    for each in others:
        first = pc.and_(first, each)
    return first


def _sorted(table: "pyarrow.Table") -> "pyarrow.Table":
    """Return rows in the order of their times, without those of which there are two of a time."""
    from pyarrow import compute as pc

    def steps(times: Any) -> Any:
        return pc.subtract(times.slice(1), times.slice(0, max(0, len(times) - 1)))

    times = table.column(0).cast("int64")
    if len(times) < 2 or pc.min(steps(times)).as_py() > 0:
        return table
    table = table.sort_by("timestamp")
    times = list(parquet.times_of(table))
    twice = {before for before, time in pairwise(times) if before == time}
    return table.filter(parquet.library().array([time not in twice for time in times]))
