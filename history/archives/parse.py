"""From the CSV of a bulk file to a table of candles, each as strictly checked as one over REST.

Columns are checked all at once: a month of minutes takes some ten milliseconds.
"""

from collections.abc import Sequence
from itertools import pairwise
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
