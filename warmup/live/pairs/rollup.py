"""Candles of longer timeframes, where the exchange streams only a short one."""

from collections.abc import Sequence

from livermore.market.aggregate import join
from livermore.market.candle import Candle
from livermore.market.timeframe import LONGEST_FIRST, Timeframe


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
        self._today_ms = 0
        self._complete_from_ms = complete_from_ms
        self._has_a_row = has_a_row

    def close(self, candle: Candle) -> list[Candle]:
        """Take a closed candle: the next one, one that was missing, or one that is known.

        Returns the longer bars that have all of their parts with it.
        """
        self._closed[candle.timestamp] = candle
        today_ms = LONGEST_FIRST[0].floor(candle.timestamp)
        if today_ms > self._today_ms:
            self._today_ms = today_ms
            self._closed = {t: each for t, each in self._closed.items() if t >= today_ms}
        return self._whole(candle.timestamp) if self._has_a_row else []

    def take_back(self, time_ms: int) -> None:
        """Learn that what closed from the bar of a time on is doubtful: it is taken once more."""
        from_ms = self._base.floor(time_ms)
        self._closed = {time: each for time, each in self._closed.items() if time < from_ms}

    def lacks_before(self, time_ms: int) -> None:
        """Learn that candles before this time are missing: what they belong to is not made."""
        self._complete_from_ms = max(self._complete_from_ms, time_ms)

    def open_candles(self, candle: Candle) -> list[Candle]:
        """Return the longer bars that hold `candle`, the open one after the closed ones."""
        found = []
        for timeframe in self._longer:
            opened = timeframe.floor(candle.timestamp)
            parts = self._between(opened, candle.timestamp)
            if self._are_all(parts, opened, candle.timestamp):
                found.append(join([*parts, candle], timeframe))
        return found

    def _whole(self, time_ms: int) -> list[Candle]:
        found = []
        for timeframe in self._longer:
            opened = timeframe.floor(time_ms)
            ends = opened + timeframe.ms
            if ends - self._base.ms not in self._closed:
                continue
            parts = self._between(opened, ends)
            if self._are_all(parts, opened, ends):
                found.append(join(parts, timeframe))
        return found

    def _between(self, start_ms: int, end_ms: int) -> list[Candle]:
        times = range(start_ms, end_ms, self._base.ms)
        return [self._closed[time] for time in times if time in self._closed]

    def _are_all(self, parts: Sequence[Candle], start_ms: int, end_ms: int) -> bool:
        if self._has_a_row:
            return len(parts) * self._base.ms == end_ms - start_ms
        return start_ms >= self._complete_from_ms
