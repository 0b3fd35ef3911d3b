"""Candles as others want them: pandas, polars, Arrow. None of these is imported before."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from livermore_reader.candles import Candles, Row
from livermore_reader.errors import Missing

EXTRAS = {"numpy": "pandas", "pandas": "pandas", "polars": "polars", "pyarrow": "arrow"}


def shown(candles: Candles) -> Sequence[Row]:
    """Return closed candles, and behind them the open one where that was asked for and is known."""
    return [*candles.rows, candles.open_row] if candles.open_row else candles.rows


def attrs(candles: Candles) -> dict[str, Any]:
    """Return what frames say of themselves."""
    return candles.attrs() | ({"open": True} if candles.open_row else {})


def pandas(candles: Candles, columns: Sequence[str]) -> Any:
    """Return a DataFrame by `timestamp`."""
    library, values = _library("pandas"), _matrix(candles, len(columns))
    frame = library.DataFrame(
        values[:, 1:], index=_index(library, values[:, 0]), columns=list(columns[1:])
    )
    frame.attrs["livermore"] = attrs(candles)
    return frame


def panel(candles: Sequence[Candles], column: int, told: dict[str, Any]) -> Any:
    """Return a DataFrame by `timestamp` with one column of each symbol; NaN where it has none."""
    library, numpy = _library("pandas"), _library("numpy")
    parts = [_pairs(each, column) for each in candles]
    times = numpy.unique(numpy.concatenate([each[:, 0] for each in parts]))
    values = numpy.full((len(times), len(parts)), numpy.nan)
    for at, each in enumerate(parts):
        values[numpy.searchsorted(times, each[:, 0]), at] = each[:, 1]
    names = [each.symbol for each in candles]
    frame = library.DataFrame(values, index=_index(library, times), columns=names)
    frame.attrs["livermore"] = told
    return frame


def values(found: Sequence[Mapping[str, Any]]) -> Any:
    """Return a DataFrame with a row for each of some objects."""
    return _library("pandas").DataFrame(found)


def polars(candles: Candles, columns: Sequence[str]) -> Any:
    """Return a polars DataFrame; it has no place for what it stands on."""
    library = _library("polars")
    schema = dict.fromkeys(columns, library.Float64) | {columns[0]: library.Int64}
    rows = [row[: len(columns)] for row in shown(candles)]
    frame = library.DataFrame(rows, schema=schema, orient="row", strict=False)
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
    arrays = [
        library.array([row[at] for row in rows], type=field.type) for at, field in enumerate(fields)
    ]
    return library.table(arrays, schema=schema)


def _matrix(candles: Candles, width: int) -> Any:
    """Return the first columns of all rows as float64, which times fit into as well."""
    return _floats([row[:width] for row in shown(candles)], width)


def _pairs(candles: Candles, column: int) -> Any:
    return _floats([(row[0], row[column]) for row in candles.rows], 2)


def _floats(rows: Sequence[Sequence[Any]], width: int) -> Any:
    return _library("numpy").array(rows, dtype="float64").reshape(len(rows), width)


def _index(library: Any, times: Any) -> Any:
    index = library.DatetimeIndex(times.astype("int64").astype("datetime64[ms]"), name="timestamp")
    return index.as_unit("ns").tz_localize("UTC")


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        extra = EXTRAS[name]
        raise Missing(
            f"{name} is needed for that: pip install 'livermore-reader[{extra}]'"
        ) from None
