"""Streams of timeframes that are not kept, made of shorter bars while these come."""

import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from livermore.market.columns import COLUMNS, read_columns
from livermore.market.coverage import Coverage
from livermore.market.derived import Derived, join
from serving.candles.unavailable import Unavailable
from serving.memory.windows import Window
from serving.streams.hub import Topic
from serving.streams.order import Told

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 8.0  # between looks for what is missing
LATE_MS = 3000  # so long after its end a bar is looked for that the stream did not close

NUMBERS = ("timestamp", "open", "high", "low", "close", "volume")
Row = list[Any]
Bar = tuple[Row, bool]  # and whether it is closed


class DerivedBars:
    """The bars of one pair in a longer timeframe, one after another. Pure.

    One is closed once all of its parts are known: as the stream told them one by one, or where it
    did not, as it began in the middle or a part had no trades, as the cache has them.
    """

    def __init__(self, timeframe: Derived):
        self._timeframe = timeframe
        self._opened_ms = 0
        self._parts: list[Row] = []  # closed ones of the bar that opened then
        self._known_ms = 0  # before which all of its parts are known
        self._behind_ms: int | None = None  # an earlier bar that was not closed yet
        self._lacks = True

    def take(self, row: Row, is_closed: bool) -> list[Bar]:
        """Return what a shorter bar of the stream makes up with those before it."""
        opened = self._timeframe.floor(row[0])
        if opened > self._opened_ms:
            self._begin(opened)
        if row[0] != self._known_ms:
            self._lacks = self._lacks or row[0] > self._known_ms
            return []
        whole = join([*self._parts, row], opened)
        if is_closed:
            self._parts.append(row)
            self._known_ms += self._timeframe.base.ms
        return [(whole, self._note_whole())]

    def lacks(self, now_ms: int) -> bool:
        """Tell whether the cache may know more than the stream told."""
        is_over = now_ms >= self._opened_ms + self._timeframe.ms + LATE_MS
        return self._lacks or (is_over and not self._is_whole)

    def since_ms(self, now_ms: int) -> int:
        """Return from when on it is of use to know the closed candles of the cache."""
        return self._behind_ms or self._opened_ms or self._timeframe.floor(now_ms)

    def learn(self, rows: Sequence[Row], coverage: Coverage, now_ms: int) -> list[Bar]:
        """Return what the closed candles of the cache, ascending, close that the stream did not."""
        if not self._opened_ms:
            self._begin(self._timeframe.floor(now_ms))
        self._lacks = False
        told: list[Bar] = []
        if (behind := self._behind_ms) is not None:
            parts, until_ms = self._of_cache(rows, coverage, behind)
            if until_ms == behind + self._timeframe.ms:
                self._behind_ms = None
                told += [(join(parts, behind), True)] if parts else []
            else:
                self._lacks = True
        parts, until_ms = self._of_cache(rows, coverage, self._opened_ms)
        if until_ms > self._known_ms:
            self._parts, self._known_ms = parts, until_ms
            if self._note_whole() and parts:
                told.append((join(parts, self._opened_ms), True))
        return told

    @property
    def _is_whole(self) -> bool:
        return self._known_ms == self._opened_ms + self._timeframe.ms

    def _begin(self, opened: int) -> None:
        if self._opened_ms and not self._is_whole:
            self._behind_ms, self._lacks = self._opened_ms, True
        self._opened_ms = self._known_ms = opened
        self._parts = []

    def _note_whole(self) -> bool:
        """Tell whether the bar is closed now: then none before it is told any more."""
        if self._is_whole:
            self._behind_ms, self._lacks = None, False
        return self._is_whole

    def _of_cache(
        self, rows: Sequence[Row], coverage: Coverage, opened: int
    ) -> tuple[list[Row], int]:
        """Return a bar's parts as far as all of them are known, and up to when that is."""
        reach = next((end for start, end in coverage if start <= opened < end), opened)
        until_ms = min(reach, opened + self._timeframe.ms)
        return [row for row in rows if opened <= row[0] < until_ms], until_ms


class DerivedStream:
    """One topic of a derived timeframe. Used in the event loop's thread alone."""

    def __init__(
        self,
        topic: Topic,
        timeframe: Derived,
        read: Callable[[], Awaitable[Window]],
        now_ms: Callable[[], int],
        tell: Callable[[list[Told]], None],
    ):
        """`read` returns what the cache has of the pair, `tell` gets what that made up."""
        self._topic, self._bars = topic, DerivedBars(timeframe)
        self._read, self._now_ms, self._tell = read, now_ms, tell
        self._is_reading = False
        self._due_at, self._delay = 0.0, FIRST_DELAY_SECONDS
        self._first: list[Told] | None = []  # what the stream told before the cache was read

    def take(self, message: Mapping[str, Any]) -> list[Told]:
        """Return what a message about the shorter bar makes up."""
        columns = read_columns([message.get(name) for name in COLUMNS])
        row = [*(message[name] for name in NUMBERS), *(columns or ())]
        told = self._told(self._bars.take(row, bool(message.get("closed"))))
        if self._first is None:
            return told
        self._first = [each for each in self._first if each[1]["closed"]] + told
        return []

    def is_due(self) -> bool:
        """Tell whether to look into the cache now."""
        if self._is_reading or time.monotonic() < self._due_at:
            return False
        if self._first is not None or self._bars.lacks(self._now_ms()):
            return True
        self._delay = FIRST_DELAY_SECONDS
        return False

    async def look(self) -> None:
        """Look into the cache for what the stream did not tell."""
        self._is_reading = True
        try:
            window = await self._read()
        except Unavailable:
            pass  # it is looked for again
        else:
            now_ms = self._now_ms()
            at = bisect_left(window.times, self._bars.since_ms(now_ms))
            told = self._told(self._bars.learn(window.rows[at:], window.coverage, now_ms))
            first, self._first = self._first or [], None
            self._tell([*told, *first])
        finally:
            self._is_reading = False
            self._due_at = time.monotonic() + self._delay
            self._delay = min(LONGEST_DELAY_SECONDS, 2 * self._delay)

    def _told(self, bars: Sequence[Bar]) -> list[Told]:
        return [(self._topic, self._message(row, is_closed)) for row, is_closed in bars]

    def _message(self, row: Row, is_closed: bool) -> dict[str, Any]:
        named = dict(zip((*NUMBERS, *COLUMNS), row, strict=False))
        own = {"symbol": self._topic.symbol, "timeframe": self._topic.timeframe}
        return own | named | {"closed": is_closed}
