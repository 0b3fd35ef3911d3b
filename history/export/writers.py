"""Rows of candles as CSV, JSON or Parquet, or as a table for people: a page after the other."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TextIO

import orjson
from rich.console import Console
from rich.table import Table

from history import parquet
from history.parquet import COLUMNS, METADATA, Row
from livermore.market.decimal_text import plain
from livermore.market.timeframe import Timeframe

SHOWN = 50  # rows of a table
DAY_MS = Timeframe.D1.ms
PRICES = 6  # the columns of a table


class Writer(Protocol):
    """Takes pages of rows, oldest first, and at the end what is said of them."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def end(self, said: Mapping[str, Any]) -> None: ...


class CsvWriter:
    """A line for each candle, its time in UTC as ISO 8601; what is not known is empty."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        stream.write(",".join(COLUMNS) + "\n")

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            more = ",,," if len(row) < len(COLUMNS) else ",".join(map(repr, row[PRICES:]))
            numbers = ",".join(map(repr, row[1:PRICES]))
            self._stream.write(f"{utc(row[0])},{numbers},{more}\n")

    def end(self, said: Mapping[str, Any]) -> None:
        pass


class JsonWriter:
    """One object: `columns`, `candles` with a list for each, and what is said of them."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._begin = f'{{"columns":{json.dumps(COLUMNS)},"candles":['

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._stream.write(f"{self._begin}\n{orjson.dumps(_ten(row)).decode()}")
            self._begin = ","

    def end(self, said: Mapping[str, Any]) -> None:
        begin = "" if self._begin == "," else self._begin
        self._stream.write(f"{begin}],{json.dumps(dict(said))[1:]}\n")


class ParquetWriter:
    """A file with history's columns, and in its metadata what is said of them."""

    def __init__(self, path: Path):
        arrow = parquet.library()
        self._file = arrow.parquet.ParquetWriter(
            str(path), parquet.schema(), compression=parquet.COMPRESSION
        )

    def write(self, rows: Sequence[Row]) -> None:
        if rows:
            self._file.write_table(parquet.table_of(rows), row_group_size=parquet.ROWS_PER_GROUP)

    def end(self, said: Mapping[str, Any]) -> None:
        self._file.add_key_value_metadata({METADATA.decode(): json.dumps(dict(said))})
        self._file.close()


class TableWriter:
    """The newest rows for people."""

    def __init__(self, console: Console, title: str):
        self._console = console
        self._title = title
        self._rows: deque[Row] = deque(maxlen=SHOWN)
        self._count = 0

    def write(self, rows: Sequence[Row]) -> None:
        self._rows += rows
        self._count += len(rows)

    def end(self, said: Mapping[str, Any]) -> None:
        table = Table(title=self._title)
        table.add_column("opened, UTC")
        for name in COLUMNS[1:PRICES]:
            table.add_column(name, justify="right")
        for row in self._rows:
            table.add_row(utc(row[0]), *map(plain, row[1:PRICES]))
        self._console.print(table)
        shown = f", the newest {len(self._rows)} shown" if self._count > len(self._rows) else ""
        source = f" of {said['source']}" if said.get("source") else ""
        self._console.print(f"{self._count:,} candles{source}{shown}")


def into_file(path: Path, make: Callable[[Path], Any], fill: Callable[[Any], None]) -> None:
    """Let a file be written beside its place, and put there once it is whole.

    What is no file, as a pipe or a device, is written to. Raises OSError.
    """
    path = path.resolve() if path.is_file() else path  # and not the link to it
    if path.exists() and not path.is_file():
        fill(make(path))
        return
    draft = path.with_name(f".{path.name}.part")
    try:
        fill(make(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def utc(time_ms: float) -> str:
    """Return a time as programs and people read it."""
    days, ms = divmod(int(time_ms), DAY_MS)
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{_day(days)}T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"


@lru_cache(maxsize=100)
def _day(days: int) -> str:
    """Return a day, counted since the epoch: nearly all rows are of the same as the one before."""
    return datetime.fromtimestamp(days * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")


def _ten(row: Row) -> list[Any]:
    return row if len(row) == len(COLUMNS) else [*row, *[None] * (len(COLUMNS) - PRICES)]
