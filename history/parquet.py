"""A month of a pair as a Parquet file, written and read by pyarrow, which is an extra.

Columns: `timestamp` (UTC, ms), `open high low close volume` as float64, and `quote_volume`,
`trades` (int64), `taker_base`, `taker_quote`, null where they are not known. Rows are sorted by
their time, a week of minutes to a row group, each with statistics, so that who wants a day reads
little more than that.
"""

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from exchanges.errors import BadPayload, Misconfigured

if TYPE_CHECKING:
    import pyarrow

COLUMNS = (
    "timestamp", "open", "high", "low", "close", "volume",
    "quote_volume", "trades", "taker_base", "taker_quote",
)  # fmt: skip
PRICES = ["open", "high", "low", "close"]  # few different ones lie in a week: a dictionary is short
ROWS_PER_GROUP = 7 * 24 * 60
COMPRESSION, LEVEL = "zstd", 9

Row = list[int | float]  # six numbers, or ten, as `livermore.market.candle.Candle.row` tells them


@cache
def library() -> Any:
    """Return pyarrow with its Parquet. Raises Misconfigured where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise Misconfigured(
            "history is kept in Parquet files, which need pyarrow",
            "pip install -r requirements-history.txt into the same environment",
        ) from None
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
    arrays = [
        arrow.array(column, type=field.type) for column, field in zip(values, schema(), strict=True)
    ]
    return arrow.Table.from_arrays(arrays, schema=schema())


def rows_of(table: "pyarrow.Table") -> list[Row]:
    """Return the rows of a table: ten numbers each, six where the other four are not known."""
    arrow = library()
    columns = [table.column(name) for name in COLUMNS]
    columns[0] = columns[0].cast(arrow.int64())
    found = zip(*(column.to_pylist() for column in columns), strict=True)
    return [list(row) if row[6] is not None else list(row[:6]) for row in found]


def dump(table: "pyarrow.Table") -> bytes:
    """Return a table as the content of a file."""
    arrow, content = library(), BytesIO()
    arrow.parquet.write_table(
        table,
        content,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=PRICES,
        column_encoding={"timestamp": "DELTA_BINARY_PACKED", "trades": "DELTA_BINARY_PACKED"},
        compression=COMPRESSION,
        compression_level=LEVEL,
        write_page_index=True,
        sorting_columns=[arrow.parquet.SortingColumn(0)],
    )
    return content.getvalue()


def load(content: bytes, start_ms: int = 0, end_ms: int | None = None) -> "pyarrow.Table":
    """Return the rows of a file that opened in `[start_ms, end_ms)`.

    Raises BadPayload where it is no file of ours.
    """
    arrow = library()
    time = schema().field("timestamp").type
    filters = [("timestamp", ">=", arrow.scalar(start_ms, time))]
    if end_ms is not None:
        filters.append(("timestamp", "<", arrow.scalar(end_ms, time)))
    try:
        return arrow.parquet.read_table(
            BytesIO(content), columns=list(COLUMNS), filters=filters
        ).cast(schema())
    except (arrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise BadPayload(f"no Parquet file of history: {type(error).__name__}") from error
