"""Candles to fill a cache with, made without an exchange."""

import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from livermore.market.candle import Candle
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache, CandleWrite

CANDLES_A_PAIR = 100
PAIRS_A_WRITE = 300


def newest(timeframe: Timeframe, count: int = CANDLES_A_PAIR) -> list[Candle]:
    """Return the newest closed candles of some market, oldest first."""
    dice = random.Random(1)
    end_ms = timeframe.floor(int(time.time() * 1000))
    candles = []
    for open_ms in range(end_ms - count * timeframe.ms, end_ms, timeframe.ms):
        low, first, last, high = sorted(round(dice.uniform(66000, 67000), 2) for _ in range(4))
        volume = round(dice.uniform(1, 900), 5)
        candles.append(Candle(open_ms, first, high, low, last, volume, timeframe))
    return candles


def writes(symbols: Sequence[str]) -> Iterator[CandleWrite]:
    """Yield what fills every pair of `symbols` with its newest candles, known to be complete."""
    candles = {timeframe: newest(timeframe) for timeframe in Timeframe}
    for symbol, timeframe in pairs_of(symbols):
        found = candles[timeframe]
        covered = ((found[0].timestamp, found[-1].close_time_ms),)
        yield CandleWrite(symbol, timeframe, found, covered)


def fill(cache: CandleCache, symbols: Sequence[str]) -> None:
    """Write the newest candles of every pair of `symbols`."""
    rest = writes(symbols)
    while batch := list(islice(rest, PAIRS_A_WRITE)):
        cache.write_many(batch)
