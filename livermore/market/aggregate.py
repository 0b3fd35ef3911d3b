"""Closed candles of a timeframe -> candles of a higher one."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from math import inf

from livermore.market.candle import Candle
from livermore.market.columns import ColumnSums, exact
from livermore.market.coverage import Coverage
from livermore.market.timeframe import Timeframe


class Joined:
    """A bar of `timeframe` in the making, of parts that come ascending: each is added up once."""

    __slots__ = ("_columns", "_first", "_high", "_low", "_volume", "count", "timeframe")

    def __init__(self, timeframe: Timeframe):
        self.timeframe = timeframe
        self.count = 0
        self._first: Candle | None = None
        self._high, self._low = 0.0, inf
        self._volume = Decimal(0)
        self._columns = ColumnSums()

    def add(self, part: Candle) -> None:
        self.count += 1
        self._first = self._first or part
        self._high, self._low = max(self._high, part.high), min(self._low, part.low)
        self._volume += exact(part.volume)
        self._columns.add(part.columns)

    def with_last(self, part: Candle) -> Candle:
        """Return the bar with one part more. It has the four columns where all parts have."""
        first = self._first or part
        return Candle(
            self.timeframe.floor(first.timestamp),
            first.open,
            max(self._high, part.high),
            min(self._low, part.low),
            part.close,
            float(self._volume + exact(part.volume)),
            self.timeframe,
            self._columns.with_last(part.columns),
        )


def join(candles: Sequence[Candle], timeframe: Timeframe) -> Candle:
    """Return the bar of `timeframe` that `candles`, ascending and not empty, make up together."""
    joined = Joined(timeframe)
    for candle in candles[:-1]:
        joined.add(candle)
    return joined.with_last(candles[-1])


def aggregate(candles: Iterable[Candle], coverage: Coverage, timeframe: Timeframe) -> list[Candle]:
    """Return the closed bars of `timeframe`, ascending, of lower ones, ascending.

    Only of periods that lie within `coverage` as a whole: never from an incomplete base. A period
    that is covered and has no candle makes no bar.
    """
    whole = []
    for opened, parts in groupby(candles, key=lambda candle: timeframe.floor(candle.timestamp)):
        ends = opened + timeframe.ms
        if any(start <= opened and ends <= end for start, end in coverage):
            whole.append(join(list(parts), timeframe))
    return whole
