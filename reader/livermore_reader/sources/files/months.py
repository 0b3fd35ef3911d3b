"""Files of history, one a pair and month: what is in each, and what it says that it is all of."""

import json
import os
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from livermore_reader.candles import TEN
from livermore_reader.errors import BadRequest, Missing, Stretch
from livermore_reader.sources.redis.pair import Pair
from livermore_reader.stretches import Stretches, both, union

METADATA = b"livermore"
FILES_KEPT = 8  # in memory, of those that were read last


class Month(NamedTuple):
    """A month of which there is a file, by its half-open stretch."""

    start_ms: int
    end_ms: int
    path: Path


class Content(NamedTuple):
    """What was in a file: times, the other columns, and of which stretches these are all."""

    state: tuple[int, int, int]
    times: Sequence[int]
    columns: Sequence[Any]
    known: Stretches


class HistoryFiles:
    """Reads the files below a folder. Any thread may ask."""

    def __init__(self, folder: "str | os.PathLike[str]"):
        """Raises BadRequest for what is no folder's name."""
        if "://" in os.fspath(folder):
            raise BadRequest(f"history is read from a folder here, not from {folder}: read `serve`")
        self._folder = Path(folder)
        self._contents: dict[Path, Content] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return str(self._folder)

    def months(self, exchange: str, symbol: str, timeframe: str) -> list[Month]:
        """Return the months of a pair of which there are files, ascending."""
        parts = f"exchange={exchange}", f"symbol={quote(symbol, safe='')}", f"timeframe={timeframe}"
        folder = self._folder.joinpath(*parts)
        try:
            paths = sorted(folder.iterdir())
        except OSError:
            return []
        return [Month(*stretch, path) for path in paths for stretch in _stretches(path.name)]

    def read(self, exchange: str, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Pair:
        """Return the candles that opened in `[start_ms, end_ms)`, and when all are known.

        What can't be read, or does not say what it is all of, is not known. Raises Missing.
        """
        rows: list[list[Any]] = []
        known: list[Stretch] = []
        pair = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        for at, month in enumerate(self.months(exchange, symbol, timeframe)):
            since_ms = month.start_ms if at else 0  # the first one says what was before it
            if since_ms >= end_ms or month.end_ms <= start_ms:
                continue
            content = self._content(month.path, pair)
            stretch = (max(since_ms, start_ms), min(month.end_ms, end_ms))
            for since, until in both(content.known, (stretch,)):
                first, last = (bisect_left(content.times, each) for each in (since, until))
                rows += map(list, zip(*(each[first:last] for each in content.columns), strict=True))
                known.append((since, until))
        return Pair(rows, union(known))

    def _content(self, path: Path, pair: dict[str, str]) -> Content:
        try:
            with path.open("rb") as opened:  # that it is another one soon changes nothing
                found = os.fstat(opened.fileno())
                state = found.st_ino, found.st_mtime_ns, found.st_size
                kept = self._contents.get(path)
                if kept is not None and kept.state == state:
                    return kept
                content = _decoded(opened.read(), pair, state)
        except OSError:  # it was taken away, or can't be read
            return Content((0, 0, 0), (), (), ())
        with self._lock:
            while len(self._contents) >= FILES_KEPT:
                del self._contents[next(iter(self._contents))]
            self._contents[path] = content
        return content


def _decoded(content: bytes, pair: dict[str, str], state: tuple[int, int, int]) -> Content:
    arrow, parquet = _library("pyarrow"), _library("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(arrow.BufferReader(content), page_checksum_verification=True)
        said = json.loads((file.schema_arrow.metadata or {}).get(METADATA, b"{}"))
        if said.get("pair") != pair:
            return Content(state, (), (), ())
        table = file.read(list(TEN))
        times = _numbers(table.column(0).cast(arrow.int64()))
        columns = [times, *(_numbers(table.column(name)) for name in TEN[1:])]
        return Content(state, times, columns, union(map(tuple, said["coverage"])))
    except (arrow.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError):
        return Content(state, (), (), ())


def _numbers(column: Any) -> Sequence[Any]:
    """Return the numbers of a column, of one without nulls from where they lie."""
    if column.null_count == len(column):
        return [None] * len(column)
    if column.null_count:
        return column.to_pylist()
    array = column.combine_chunks()
    values: Any = memoryview(array.buffers()[1]).cast("B")
    values = values.cast("q" if str(array.type) == "int64" else "d")
    return values[array.offset : array.offset + len(array)].tolist()


def _stretches(name: str) -> Iterator[Stretch]:
    """Yield from when to when a file's month goes, nothing for another file."""
    try:
        start = datetime.strptime(name, "%Y-%m.parquet").replace(tzinfo=timezone.utc)
    except ValueError:
        return
    after = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    yield round(start.timestamp() * 1000), round(after.timestamp() * 1000)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise Missing(
            "pyarrow is needed to read history: pip install 'livermore-reader[arrow]'"
        ) from None
