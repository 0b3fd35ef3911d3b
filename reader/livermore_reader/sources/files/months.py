"""Files of history, one a pair and month: what is in each, and what it says that it is all of."""

import json
import os
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from livermore_reader.candles import TEN
from livermore_reader.columns import Columns, checked, library, united
from livermore_reader.errors import Stretch
from livermore_reader.sources.files.places import State, place_at
from livermore_reader.stretches import Stretches, both, union

METADATA = b"livermore"
FILES_KEPT = 8  # in memory, of those that were read last


class Month(NamedTuple):
    """A month of which there is a file, by its half-open stretch."""

    start_ms: int
    end_ms: int
    path: str


class Content(NamedTuple):
    """What was in a file, and of which stretches these are all rows."""

    state: State
    rows: "Columns | None"
    known: Stretches


class Part(NamedTuple):
    """Candles of a pair, ascending, and when all are known."""

    rows: "Columns | tuple[()]"
    known: Stretches


class HistoryFiles:
    """Reads the files in a place. Any thread may ask."""

    def __init__(self, where: "str | os.PathLike[str]"):
        """Raises BadRequest for what is no place's name."""
        self._place = place_at(where)
        self._contents: dict[tuple[str, int], Content] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return str(self._place)

    @property
    def is_there(self) -> bool:
        """Whether there is such a folder; a bucket is not asked yet."""
        return self._place.is_there

    def has(self, exchange: str, symbol: str) -> bool:
        """Tell whether there is a folder for a symbol's files."""
        return self._place.has(_folder_of(exchange, symbol))

    def months(self, exchange: str, symbol: str, timeframe: str) -> list[Month]:
        """Return the months of a pair of which there are files, ascending."""
        folder = f"{_folder_of(exchange, symbol)}/timeframe={timeframe}"
        names = [(name, _stretch_of(name)) for name in self._place.names(folder)]
        return [Month(*stretch, f"{folder}/{name}") for name, stretch in names if stretch]

    def read(
        self, pair: "dict[str, str]", months: Sequence[Month], width: int, stretch: Stretch
    ) -> Part:
        """Return candles of a pair that opened in a stretch, and when all are known.

        `pair` names what `months` was asked for, of which these are all; of the columns the first
        `width` are read. What can't be read, or does not say what it is all of, is not known.
        Raises Missing.
        """
        parts: list[Columns] = []
        known: list[Stretch] = []
        start_ms, end_ms = stretch
        for at, month in enumerate(months):
            since_ms = month.start_ms if at else 0  # the first one says what was before it
            if since_ms >= end_ms or month.end_ms <= start_ms:
                continue
            content = self._content(month.path, pair, width)
            own = (max(since_ms, start_ms), min(month.end_ms, end_ms))
            if content.rows is not None:
                part = both(content.known, (own,))
                parts += [content.rows.between(*each) for each in part]
                known += part
        return Part(united(parts), union(known))

    def _content(self, path: str, pair: "dict[str, str]", width: int) -> Content:
        state = self._place.state(path)
        kept = self._contents.get((path, width))
        if kept is not None and kept.state == state:
            return kept
        file = self._place.opened(path) if state else None  # newer at most, which shows next time
        if state is None or file is None:  # it was taken away, or can't be read
            return Content((), None, ())
        with file:
            decoded = _decoded(file, pair, state, width)
        with self._lock:
            while len(self._contents) >= FILES_KEPT:
                del self._contents[next(iter(self._contents))]
            self._contents[path, width] = decoded
        return decoded


def _folder_of(exchange: str, symbol: str) -> str:
    return f"exchange={exchange}/symbol={quote(symbol, safe='')}"


def _decoded(opened: Any, pair: "dict[str, str]", state: State, width: int) -> Content:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(opened, page_checksum_verification=True, pre_buffer=False)
        said = json.loads((file.schema_arrow.metadata or {}).get(METADATA, b"{}"))
        if said.get("pair") != pair:
            return Content(state, None, ())
        # Threads cost more than they bring.
        table = file.read(list(TEN[:width]), use_threads=False)
        return Content(state, Columns(checked(table)), union(map(tuple, said["coverage"])))
    except (arrow.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError):
        return Content(state, None, ())


@lru_cache(maxsize=1000)
def _stretch_of(name: str) -> "Stretch | None":
    """Return from when to when a file's month goes, None for another file."""
    try:
        start = datetime.strptime(name, "%Y-%m.parquet").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    after = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return round(start.timestamp() * 1000), round(after.timestamp() * 1000)
