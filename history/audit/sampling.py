"""Which candles are looked at: some neighbours at a time, which one call brings. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import NamedTuple

from livermore.market.coverage import Coverage, intersect, subtract
from livermore.market.pair import Pair

BARS_TOGETHER = 25  # so that 500 cost twenty calls
TRIES = 4  # for each stretch that is wanted: it may have been chosen before


class Source(StrEnum):
    """Where a candle is kept."""

    CACHE = "cache"
    HISTORY = "history"


class Window(NamedTuple):
    """Some bars of a pair, half-open, in one of the places where they are kept."""

    source: Source
    pair: Pair
    start_ms: int
    end_ms: int

    @property
    def bars(self) -> int:
        return (self.end_ms - self.start_ms) // self.pair.timeframe.ms


Kept = Mapping[tuple[Source, Pair], Coverage]


def choose(kept: Kept, sample: int, random: Random) -> list[Window]:
    """Return windows of about `sample` bars in all, none twice; fewer where there is less.

    Each source is as likely as the other where both have something, then each pair, then each bar.
    """
    left = {key: coverage for key, coverage in kept.items() if coverage}
    found: list[Window] = []
    bars = 0
    for _ in range(TRIES * (1 + sample // BARS_TOGETHER)):
        if bars >= sample or not left:
            break
        source = random.choice(sorted({source for source, _ in left}))
        key = random.choice(sorted(each for each in left if each[0] is source))
        window = _window(key, left[key], min(BARS_TOGETHER, sample - bars), random)
        left[key] = subtract(left[key], ((window.start_ms, window.end_ms),))
        if not left[key]:
            del left[key]
        found.append(window)
        bars += window.bars
    return found


def _window(key: tuple[Source, Pair], coverage: Coverage, bars: int, random: Random) -> Window:
    length = key[1].timeframe.ms
    counts = [(end - start) // length for start, end in coverage]
    start_ms, end_ms = random.choices(coverage, weights=counts)[0]
    first_ms = start_ms + length * random.randrange((end_ms - start_ms) // length)
    return Window(*key, first_ms, min(first_ms + bars * length, end_ms))


def on_grid(coverage: Coverage, pair: Pair, until_ms: int) -> Coverage:
    """Return what of a coverage lies before a time, in whole bars."""
    return tuple(
        (start, end)
        for start, end in (
            (pair.timeframe.ceil(start), pair.timeframe.floor(end))
            for start, end in intersect(coverage, ((0, pair.timeframe.floor(until_ms)),))
        )
        if start < end
    )
