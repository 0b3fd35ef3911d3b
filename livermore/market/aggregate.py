"""Closed candles of a timeframe -> candles of a higher one."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby

from livermore.market.candle import Candle
from livermore.market.columns import Columns, sum_columns
from livermore.market.coverage import Coverage
from livermore.market.timeframe import Timeframe


def join(candles: Sequence[Candle], timeframe: Timeframe) -> Candle:
    """Return the bar of `timeframe` that `candles`, ascending and not empty, make up together.

    It has the four columns where all of them have.
    """
    return Candle(
        timeframe.floor(candles[0].timestamp),
        candles[0].open,
        max(candle.high for candle in candles),
        min(candle.low for candle in candles),
        candles[-1].close,
        float(sum(Decimal(repr(candle.volume)) for candle in candles)),  # 0.1 + 0.2 is 0.3
        timeframe,
        _columns(candles),
    )


def _columns(candles: Sequence[Candle]) -> Columns | None:
    if any(candle.columns is None for candle in candles):
        return None
    return sum_columns([candle.columns for candle in candles])


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
