"""Candles as others want them: pandas, polars, Arrow. None of these is imported before."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from livermore_reader.candles import Candles, Row
from livermore_reader.columns import Columns, united
from livermore_reader.errors import Missing

NS_PER_MS = 1_000_000
EXTRAS = {"numpy": "pandas", "pandas": "pandas", "polars": "polars", "pyarrow": "arrow"}


def shown(candles: Candles) -> Sequence[Row]:
    """Return closed candles, and behind them the open one where that was asked for and is known."""
    rows = candles.rows
    if not candles.open_row:
        return rows
    if isinstance(rows, Columns):
        newest = Columns.of([candles.open_row]).narrowed(rows.table.num_columns)
        return united([rows, newest])
    return [*rows, candles.open_row]


def attrs(candles: Candles) -> dict[str, Any]:
    """Return what frames say of themselves."""
    return candles.attrs() | ({"open": True} if candles.open_row else {})


def pandas(candles: Candles, columns: Sequence[str]) -> Any:
    """Return a DataFrame by `timestamp`."""
    library, rows = _library("pandas"), shown(candles)
    times, values = _times(rows), _matrix(rows, 1, len(columns))
    index, names = _index(library, times), list(columns[1:])
    frame = library.DataFrame(values, index=index, columns=names, copy=False)
    frame.attrs["livermore"] = attrs(candles)
    return frame


def panel(candles: Sequence[Candles], column: int, told: dict[str, Any]) -> Any:
    """Return a DataFrame by `timestamp` with one column of each symbol; NaN where it has none."""
    library, numpy = _library("pandas"), _library("numpy")
    parts = [(_times(each.rows), _matrix(each.rows, column, column + 1)) for each in candles]
    times = numpy.unique(numpy.concatenate([own for own, _ in parts]))
    values = numpy.full((len(times), len(parts)), numpy.nan)
    for at, (own, found) in enumerate(parts):
        values[numpy.searchsorted(times, own), at] = found[:, 0]
    names = [each.symbol for each in candles]
    frame = library.DataFrame(values, index=_index(library, times), columns=names)
    frame.attrs["livermore"] = told
    return frame


def values(found: Sequence[Mapping[str, Any]]) -> Any:
    """Return a DataFrame with a row for each of some objects."""
    return _library("pandas").DataFrame(found)


def polars(candles: Candles, columns: Sequence[str]) -> Any:
    """Return a polars DataFrame; it has no place for what it stands on."""
    library, rows = _library("polars"), shown(candles)
    schema = dict.fromkeys(columns, library.Float64) | {columns[0]: library.Int64}
    if isinstance(rows, Columns):
        return library.from_arrow(rows.table.select(columns)).cast(dict(list(schema.items())[1:]))
    short = [row[: len(columns)] for row in rows]
    frame = library.DataFrame(short, schema=schema, orient="row", strict=False)
    time = library.col(columns[0]).cast(library.Datetime("ms")).dt.replace_time_zone("UTC")
    return frame.with_columns(time)


def arrow(candles: Candles, columns: Sequence[str]) -> Any:
    """Return an Arrow table; what it stands on is JSON in its schema's metadata."""
    library = _library("pyarrow")
    kinds = {"timestamp": library.timestamp("ms", tz="UTC"), "trades": library.int64()}
    fields = [library.field(name, kinds.get(name, library.float64())) for name in columns]
    told = {"livermore": json.dumps(attrs(candles))}
    schema = library.schema(fields, metadata=told)
    rows = shown(candles)
    if isinstance(rows, Columns):
        return library.Table.from_arrays(
            [rows.table.column(name) for name in columns], schema=schema
        )
    arrays = [
        library.array([row[at] for row in rows], type=field.type) for at, field in enumerate(fields)
    ]
    return library.table(arrays, schema=schema)


def _times(rows: Sequence[Row]) -> Any:
    times = rows.times if isinstance(rows, Columns) else [row[0] for row in rows]
    return _library("numpy").asarray(times, dtype="int64")


def _matrix(rows: Sequence[Row], first: int, last: int) -> Any:
    """Return the columns from `first` on and before `last` as float64, NaN where one is unknown."""
    numpy, width = _library("numpy"), last - first
    if not isinstance(rows, Columns):
        chosen = [row[first] for row in rows] if width == 1 else [row[first:last] for row in rows]
        return numpy.array(chosen, dtype="float64").reshape(len(rows), width)
    values = numpy.empty((width, len(rows)))  # a column after the other, as pandas keeps them
    for column, found in zip(rows.table.columns[first:last], values, strict=True):
        at = 0
        for chunk in column.chunks:
            found[at : at + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
            at += len(chunk)
    return values.T


def _index(library: Any, times: Any) -> Any:
    since_1970 = (times * NS_PER_MS).view("datetime64[ns]")
    return library.DatetimeIndex(since_1970, name="timestamp", tz="UTC")


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        extra = EXTRAS[name]
        raise Missing(
            f"{name} is needed for that: pip install 'livermore-reader[{extra}]'"
        ) from None
