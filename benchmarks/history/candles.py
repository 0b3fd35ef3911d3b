"""A made-up month of minutes, from which the other candles of these benchmarks are taken."""

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.state import SandboxState
from history import parquet
from history.months import Month
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

PAIR = Pair("BTC-USD", Timeframe.M1)
START = Month(2024, 1)


def month_of_minutes() -> list[Candle]:
    """Return the candles of a month, every minute of it."""
    config = SandboxConfig(start_ms=START.next.start_ms, speed=0)
    rows = SandboxState(config).market.closed_rows(*PAIR, *START.interval)
    return [Candle.of_values(row, PAIR.timeframe) for row in rows]


def shifted(candles: list[Candle], start_ms: int, end_ms: int) -> list[Candle]:
    """Return the same candles as those of another time, in turn until its end."""
    times = range(start_ms, end_ms, PAIR.timeframe.ms)
    return [
        Candle(time_ms, *each.values()[1:], each.timeframe, each.columns)
        for time_ms, each in zip(times, [*candles, *candles], strict=False)
    ]


def rows(candles: list[Candle], pair: Pair, start_ms: int, end_ms: int) -> list[parquet.Row]:
    """Return rows of any pair that have the numbers of some of these candles."""
    times = range(pair.timeframe.ceil(start_ms), end_ms, pair.timeframe.ms)
    return [row(candles, time_ms) for time_ms in times]


def row(candles: list[Candle], time_ms: int) -> parquet.Row:
    found = candles[time_ms // PAIR.timeframe.ms % len(candles)].row()
    return [time_ms, *found[1:]]
