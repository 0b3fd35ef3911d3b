"""Closed minutes, all alike."""

from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe

M1 = Timeframe.M1


def minutes(count, ends_ms):
    times = range(ends_ms - count * M1.ms, ends_ms, M1.ms)
    return [Candle(time_ms, 1.0, 2.0, 0.5, 1.5, 3.0, M1) for time_ms in times]
