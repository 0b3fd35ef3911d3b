"""Candles of longer timeframes, where the exchange streams only a short one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from livermore.market.aggregate import Joined
from livermore.market.candle import Candle
from livermore.market.timeframe import LONGEST_FIRST, Timeframe


@dataclass(slots=True)
class Begun:
    """A longer bar that is not over: what closed of it until a time is joined."""

    joined: Joined
    opened_ms: int
    until_ms: int


class Rollup:
    """One symbol's longer candles, made of its closed short ones and the open one.

    A bar whose base isn't complete from its beginning is not made at all. Closed bars come over
    REST, but where each bar of the base `has_a_row`: then its parts tell that they are complete.
    """

    def __init__(
        self,
        base: Timeframe,
        closed: Sequence[Candle],
        complete_from_ms: int,
        has_a_row: bool = False,
    ):
        """`closed` are all there are from `complete_from_ms` on, oldest first."""
        self._base = base
        self._longer = [each for each in LONGEST_FIRST if each.ms > base.ms]
        self._closed = {each.timestamp: each for each in closed}
        self._begun: dict[Timeframe, Begun] = {}
        self._joined_until_ms = 0  # what closed later is in none of them
        self._today_ms = 0
        self._complete_from_ms = complete_from_ms
        self._has_a_row = has_a_row

    def close(self, candle: Candle) -> list[Candle]:
        """Take a closed candle: the next one, one that was missing, or one that is known.

        Returns the longer bars that have all of their parts with it.
        """
        self._closed[candle.timestamp] = candle
        if candle.timestamp < self._joined_until_ms:
            self._join_anew()
        today_ms = LONGEST_FIRST[0].floor(candle.timestamp)
        if today_ms > self._today_ms:
            self._today_ms = today_ms
            self._closed = {t: each for t, each in self._closed.items() if t >= today_ms}
            self._join_anew()
        return self._whole(candle.timestamp) if self._has_a_row else []

    def take_back(self, time_ms: int) -> None:
        """Learn that what closed from the bar of a time on is doubtful: it is taken once more."""
        from_ms = self._base.floor(time_ms)
        self._closed = {time: each for time, each in self._closed.items() if time < from_ms}
        self._join_anew()

    def lacks_before(self, time_ms: int) -> None:
        """Learn that candles before this time are missing: what they belong to is not made."""
        self._complete_from_ms = max(self._complete_from_ms, time_ms)

    def open_candles(self, candle: Candle) -> list[Candle]:
        """Return the longer bars that hold `candle`, the open one after the closed ones."""
        return self._made(self._longer, candle)

    def _whole(self, time_ms: int) -> list[Candle]:
        found = []
        for timeframe in self._longer:
            last = self._closed.get(timeframe.floor(time_ms) + timeframe.ms - self._base.ms)
            if last is not None:
                found += self._made([timeframe], last)
        return found

    def _made(self, timeframes: Sequence[Timeframe], last: Candle) -> list[Candle]:
        """Return the longer bars up to their part `last` that have all of those before it."""
        found = []
        for timeframe in timeframes:
            opened_ms = timeframe.floor(last.timestamp)
            if not self._has_a_row and opened_ms < self._complete_from_ms:
                continue
            joined = self._joined_before(last.timestamp, opened_ms, timeframe)
            if not self._has_a_row or opened_ms + joined.count * self._base.ms == last.timestamp:
                found.append(joined.with_last(last))
        return found

    def _joined_before(self, end_ms: int, opened_ms: int, timeframe: Timeframe) -> Joined:
        """Return what closed of a longer bar before a time; what is joined already stays so."""
        begun = self._begun.get(timeframe)
        if begun is None or begun.opened_ms != opened_ms or begun.until_ms > end_ms:
            begun = self._begun[timeframe] = Begun(Joined(timeframe), opened_ms, opened_ms)
        for part in self._between(begun.until_ms, end_ms):
            begun.joined.add(part)
        begun.until_ms = end_ms
        self._joined_until_ms = max(self._joined_until_ms, end_ms)
        return begun.joined

    def _join_anew(self) -> None:
        """Join nothing on: what closed a while ago is another one by now, or there, or gone."""
        self._begun.clear()
        self._joined_until_ms = 0

    def _between(self, start_ms: int, end_ms: int) -> Iterator[Candle]:
        times = range(start_ms, end_ms, self._base.ms)
        return (self._closed[time] for time in times if time in self._closed)
