"""Candles as others want them: pandas, polars, Arrow. None of these is imported before."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from livermore_reader.candles import Candles, Row
from livermore_reader.errors import Missing

EXTRAS = {"pandas": "pandas", "polars": "polars", "pyarrow": "arrow"}


def shown(candles: Candles) -> Sequence[Row]:
    """Return closed candles, and behind them the open one where that was asked for and is known."""
    return [*candles.rows, candles.open_row] if candles.open_row else candles.rows


def attrs(candles: Candles) -> dict[str, Any]:
    return candles.attrs() | ({"open": True} if candles.open_row else {})


def pandas(candles: Candles, columns: Sequence[str]) -> Any:
    library = _library("pandas")
    rows = [row[: len(columns)] for row in shown(candles)]
    frame = library.DataFrame(rows, columns=columns)
    values = frame[list(columns[1:])].astype("float64")
    values.index = library.to_datetime(frame["timestamp"].astype("int64"), unit="ms", utc=True)
    values.index.name = columns[0]
    values.attrs["livermore"] = attrs(candles)
    return values


def polars(candles: Candles, columns: Sequence[str]) -> Any:
    raise NotImplementedError


def arrow(candles: Candles, columns: Sequence[str]) -> Any:
    raise NotImplementedError


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        extra = EXTRAS[name]
        raise Missing(
            f"{name} is needed for that: pip install 'livermore-reader[{extra}]'"
        ) from None
