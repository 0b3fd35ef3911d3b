"""Which candles of a pair are asked for, and what of them nobody knows."""

from collections.abc import Iterator
from typing import NamedTuple

from history.parquet import Row
from history.reading import Found, Reading
from livermore.market.coverage import Coverage, Interval, missing, union
from livermore.market.derived import AnyTimeframe

GRACE_MS = 5_000  # after its end a bar may be on its way that long


class Wanted(NamedTuple):
    """Closed bars that open from `start_ms` on and before `end_ms`, `limit` at most.

    With a start the oldest, without it the newest; no end is now; neither a start nor a limit is
    all there are.
    """

    start_ms: int | None
    end_ms: int | None
    limit: int | None


class Chosen:
    """What answers. The rest is known when all pages were read."""

    def __init__(self, reading: Reading, timeframe: AnyTimeframe, wanted: Wanted, now_ms: int):
        self._reading = reading
        self._timeframe = timeframe
        self._wanted = wanted
        open_ms = timeframe.floor(now_ms)
        self._is_early = now_ms - open_ms < GRACE_MS
        end_ms = open_ms if wanted.end_ms is None else min(timeframe.ceil(wanted.end_ms), open_ms)
        self._open_ms, self._end_ms = open_ms, end_ms
        self._covered: Coverage = ()
        self._sources: set[str] = set()
        self.rows = 0
        self.stretch: Interval = (end_ms, end_ms)

    def pages(self) -> Iterator[list[Row]]:
        """Yield the rows, oldest first, a month at a time at the most."""
        start_ms, _, count = self._wanted
        if count is not None:
            yield self._some(start_ms, count)
            return
        if start_ms is not None:
            start_ms = self._timeframe.ceil(start_ms)
        elif held := self._reading.held(self._timeframe):
            start_ms = held[0]
        else:
            return
        self.stretch = start_ms, self._end_ms
        for page in self._reading.pages(self._timeframe, *self.stretch):
            if self._wanted.start_ms is None and not self._covered and page.covered:
                self.stretch = page.covered[0][0], self._end_ms
            self._take(page, *self.stretch)
            yield page.rows

    def _some(self, start_ms: int | None, count: int) -> list[Row]:
        step, end_ms = self._timeframe.ms, self._end_ms
        if start_ms is None:
            found = self._reading.newest(self._timeframe, end_ms, count)
            rows = self._without_a_hole(found)[-count:]
            first_ms = int(rows[0][0]) if len(rows) == count else end_ms - count * step
            if len(rows) < count:
                rows = [row for row in found.rows if row[0] >= first_ms]
            self.stretch = first_ms, end_ms
        else:
            first_ms = self._timeframe.ceil(start_ms)
            found = self._reading.oldest(self._timeframe, first_ms, end_ms, count, over_holes=True)
            rows = [row for row in found.rows if row[0] >= first_ms][:count]
            until_ms = int(rows[-1][0]) + step if len(rows) == count else end_ms
            self.stretch = first_ms, max(first_ms, until_ms)
        self._take(found, *self.stretch)
        self.rows = len(rows)
        return rows

    def _without_a_hole(self, found: Found) -> list[Row]:
        """Return the rows up to the end of which all are known."""
        awaited_ms = self._timeframe.ms if self._is_early else 0
        if not found.covered or found.covered[-1][1] < self._end_ms - awaited_ms:
            return []
        return [row for row in found.rows if row[0] >= found.covered[-1][0]]

    def _take(self, page: Found, start_ms: int, end_ms: int) -> None:
        self._covered = union([*self._covered, *page.covered])
        self._sources |= set(filter(None, page.source(start_ms, end_ms).split("+")))
        self.rows += len(page.rows)

    @property
    def source(self) -> str | None:
        """Return who had them: "history", "cache" or "cache+history", None for nobody."""
        return "+".join(sorted(self._sources)) or None

    @property
    def opens_after(self) -> bool:
        """Tell whether the open bar is asked for too, and follows on what was found."""
        start_ms, end_ms, count = self._wanted
        if start_ms is not None and (start_ms > self._open_ms or self.rows == count):
            return False
        return self._end_ms == self._open_ms and (end_ms is None or end_ms > self._open_ms)

    @property
    def missing(self) -> Coverage:
        """Return what of the bars is not known; one that has ended just now is awaited."""
        start_ms, end_ms = self.stretch
        left = missing(self._covered, start_ms, end_ms)
        awaited_ms = self._open_ms - self._timeframe.ms
        if self._is_early and left and left[-1][1] == self._open_ms:
            left = missing(union([*self._covered, (awaited_ms, self._open_ms)]), start_ms, end_ms)
        return left
