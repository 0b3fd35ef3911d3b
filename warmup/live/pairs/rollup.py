"""Open candles of longer timeframes, where the exchange streams only a short one."""

from collections.abc import Sequence

from livermore.market.aggregate import join
from livermore.market.candle import Candle
from livermore.market.timeframe import LONGEST_FIRST, Timeframe


class Rollup:
    """One symbol's longer open candles, made of its closed short ones and the open one.

    Closed bars are never made here: those come over REST. A bar whose base isn't complete from
    its beginning is not made at all.
    """

    def __init__(self, base: Timeframe, closed: Sequence[Candle], complete_from_ms: int):
        """`closed` are all there are from `complete_from_ms` on, oldest first."""
        self._longer = [each for each in LONGEST_FIRST if each.ms > base.ms]
        self._closed = {each.timestamp: each for each in closed}
        self._complete_from_ms = complete_from_ms

    def close(self, candle: Candle) -> None:
        """Take a closed candle: the next one, one that was missing, or one that is known."""
        self._closed[candle.timestamp] = candle
        times = sorted(self._closed)
        today_ms = LONGEST_FIRST[0].floor(times[-1])
        self._closed = {time: self._closed[time] for time in times if time >= today_ms}

    def lacks_before(self, time_ms: int) -> None:
        """Learn that candles before this time are missing: what they belong to is not made."""
        self._complete_from_ms = max(self._complete_from_ms, time_ms)

    def open_candles(self, candle: Candle) -> list[Candle]:
        """Return the longer bars that hold `candle`, the open one after the closed ones."""
        found = []
        for timeframe in self._longer:
            opened = timeframe.floor(candle.timestamp)
            if opened >= self._complete_from_ms:
                parts = [each for time, each in self._closed.items() if time >= opened]
                found.append(join([*parts, candle], timeframe))
        return found
