"""A month of a pair as a Parquet file, written and read by pyarrow, which is an extra.

Columns: `timestamp` (UTC, ms), `open high low close volume` as float64, and `quote_volume`,
`trades` (int64), `taker_base`, `taker_quote`, null where they are not known. Rows are sorted by
their time, a week of minutes to a row group, each with statistics, so that who wants a day reads
little more than that. Pages have checksums. The metadata `livermore` is JSON, for who reads a file
without the manifest: `pair`, and `coverage`, the stretches of which these are all rows there are.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from exchanges.errors import BadPayload, Misconfigured
from livermore.market.coverage import Coverage

if TYPE_CHECKING:
    import pyarrow

COLUMNS = (
    "timestamp", "open", "high", "low", "close", "volume",
    "quote_volume", "trades", "taker_base", "taker_quote",
)  # fmt: skip
ROWS_PER_GROUP = 7 * 24 * 60
COMPRESSION, LEVEL = "zstd", 2  # 3 takes a sixth more time, and 4 % less room
# What was traded in the quote currency has hardly two numbers alike. Their bytes, the first of all
# and then the second ones, take less room, and half the time.
IN_BYTES, LEVEL_IN_BYTES = ("quote_volume", "taker_quote"), -1
ENCODINGS = {
    "timestamp": "DELTA_BINARY_PACKED",
    "trades": "DELTA_BINARY_PACKED",
    **dict.fromkeys(IN_BYTES, "BYTE_STREAM_SPLIT"),
}
METADATA = b"livermore"

Row = list[int | float]  # six numbers, or ten, as `livermore.market.candle.Candle.row` tells them


@cache
def library() -> Any:
    """Return pyarrow with its Parquet. Raises Misconfigured where it is not installed."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise Misconfigured(
            "history is kept in Parquet files, which need pyarrow",
            "pip install -r requirements-history.txt into the same environment",
        ) from None
    # Its own allocator gives back at once what a month took, which the next one gets anew.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    return pyarrow


@cache
def schema() -> "pyarrow.Schema":
    """Return the columns of each file."""
    arrow = library()
    types = dict.fromkeys(COLUMNS, arrow.float64())
    types |= {"timestamp": arrow.timestamp("ms", tz="UTC"), "trades": arrow.int64()}
    needed = COLUMNS[:6]
    return arrow.schema(
        [arrow.field(name, kind, nullable=name not in needed) for name, kind in types.items()]
    )


def table_of(rows: Sequence[Row]) -> "pyarrow.Table":
    """Return rows, oldest first, as a table."""
    arrow = library()
    full = [row if len(row) == len(COLUMNS) else [*row[:6], *[None] * 4] for row in rows]
    values = list(zip(*full, strict=True)) or [()] * len(COLUMNS)
    arrays = [_array(column, field.type) for column, field in zip(values, schema(), strict=True)]
    return arrow.Table.from_arrays(arrays, schema=schema())


def _array(values: Sequence[int | float | None], kind: "pyarrow.DataType") -> "pyarrow.Array":
    """Return numbers as an array. What pyarrow makes of a list loads pandas, where that is."""
    arrow = library()
    if None not in values:
        numbers: Any = array("d" if kind == arrow.float64() else "q", cast(Any, values))
        return arrow.Array.from_buffers(kind, len(values), [None, arrow.py_buffer(numbers)])
    if all(each is None for each in values):
        return arrow.nulls(len(values), kind)
    return arrow.array(values, type=kind)


def rows_of(table: "pyarrow.Table") -> list[Row]:
    """Return the rows of a table: ten numbers each, six where the other four are not known."""
    found = zip(*(_numbers(table.column(name)) for name in COLUMNS), strict=True)
    return [list(row) if row[6] is not None else list(row[:6]) for row in found]


def _numbers(column: "pyarrow.ChunkedArray") -> Sequence[int | float | None]:
    if column.null_count or not len(column):
        return column.to_pylist()
    return _values(column.combine_chunks()).tolist()


def _values(array: "pyarrow.Array") -> memoryview:
    """Return the numbers of an array without nulls where they lie: nothing is copied."""
    values: Any = memoryview(array.buffers()[1]).cast("B")
    values = values.cast("d" if array.type == library().float64() else "q")
    return values[array.offset : array.offset + len(array)]


def times_of(table: "pyarrow.Table") -> Sequence[int]:
    """Return when the rows of a table opened, in ms; nothing is copied."""
    return _values(table.column(0).combine_chunks()) if table.num_rows else ()


def between(table: "pyarrow.Table", start_ms: int, end_ms: int) -> "pyarrow.Table":
    """Return the rows of a table that opened in `[start_ms, end_ms)`; nothing is copied."""
    if not table.num_rows:
        return table
    times = times_of(table)
    first, last = bisect_left(times, start_ms), bisect_left(times, end_ms)
    return table.slice(first, max(0, last - first))


def within(table: "pyarrow.Table", coverage: Coverage) -> "pyarrow.Table":
    """Return the rows of a table that opened in a coverage."""
    parts = [between(table, *stretch) for stretch in coverage] or [table.slice(0, 0)]
    return parts[0] if len(parts) == 1 else library().concat_tables(parts)


def joined(table: "pyarrow.Table", other: "pyarrow.Table") -> "pyarrow.Table":
    """Return the rows of two tables that have none in common, in the order of time."""
    if not table.num_rows or not other.num_rows:
        return table if table.num_rows else other
    both = library().concat_tables([table, other])
    return both if times_of(table)[-1] < times_of(other)[0] else both.sort_by("timestamp")


def dump(table: "pyarrow.Table", said: Mapping[str, Any] | None = None) -> bytes:
    """Return a table as the content of a file, with what is said of it in its metadata."""
    arrow = library()
    content = arrow.BufferOutputStream()  # a file of Python's would want its lock again and again
    if said is not None:
        table = table.replace_schema_metadata({METADATA: json.dumps(said)})
    arrow.parquet.write_table(
        table,
        content,
        write_page_checksum=True,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=False,  # of prices they save no room once it is compressed
        column_encoding=ENCODINGS,
        compression=COMPRESSION,
        compression_level={name: LEVEL_IN_BYTES if name in IN_BYTES else LEVEL for name in COLUMNS},
        write_page_index=True,
        sorting_columns=[arrow.parquet.SortingColumn(0)],
    )
    return content.getvalue().to_pybytes()


def load(content: bytes) -> "pyarrow.Table":
    """Return the rows of a file. Raises BadPayload where it is no file of ours."""
    arrow = library()
    try:
        file = arrow.parquet.ParquetFile(arrow.BufferReader(content))  # `read_table` loads more
        table = file.read(list(COLUMNS), use_threads=False)  # which cost more than they bring
        return table.replace_schema_metadata().cast(schema())
    except (arrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise BadPayload(f"no Parquet file of history: {type(error).__name__}") from error
