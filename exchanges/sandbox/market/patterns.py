"""Days of trading in whole numbers, drawn once per seed and shared by every symbol.

A pattern is one day of 1440 minutes as offsets from the day's opening price. It starts at 0 and
ends at `climb * STEP`, so days can be laid end to end without a jump at midnight. Every
pattern of a pool holds the same number of trades, so the id of a day's first trade is a product.
"""

from array import array
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, compress
from random import Random
from typing import NamedTuple

from livermore.market.timeframe import MINUTE_MS, Timeframe

MINUTES = 1440
STEP = 1000  # a symbol's level moves by this many offsets a day, up to twice
CLIMBS = range(-2, 3)
VARIANTS = 3
TRADES = {False: 5 * MINUTES, True: 1800}  # a day's trades, by whether the pool is the quiet one
_STRIDE = {False: 16, True: 30}  # the largest move between two trades
_PAUSE = 180  # minutes without any trade in each quiet day, so that whole hours are empty too


class Shape(NamedTuple):
    """A bar of a pattern: prices as offsets, volume in lots.

    `weight` is the sum of offset x lots over its trades; `first` the index of its first trade
    in the day (of the next one where it has none). `taken` and `taken_weight` are the parts of
    lots and weight in which the buyer took. An empty bar stands at the close before it.
    """

    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int
    weight: int
    first: int
    taken: int
    taken_weight: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """One day: its bars by timeframe, and its trades as three parallel arrays."""

    bars: dict[Timeframe, list[Shape]]
    offsets: array
    lots: array
    times: array  # milliseconds since the trade's minute began, ascending within it


@cache
def pattern(seed: int, quiet: bool, climb: int, variant: int) -> Pattern:
    """Draw the pattern these four name; the same one on every machine, built on first use."""
    random = Random(f"{seed}/{quiet}/{climb}/{variant}")
    counts = _trades_per_minute(random, quiet)
    offsets = _prices(random, counts, climb * STEP, _STRIDE[quiet])
    lots = array(
        "i",
        random.choices((1, 2, 3, 5, 8, 13, 40, 90), (30, 25, 20, 12, 6, 4, 2, 1), k=len(offsets)),
    )
    times = array("i", (t for n in counts for t in sorted(random.choices(range(MINUTE_MS), k=n))))
    minutes = _minute_bars(counts, offsets, lots)
    bars = {timeframe: _longer(minutes, timeframe) for timeframe in Timeframe}
    return Pattern(bars, offsets, lots, times)


def merge(bars: list[Shape]) -> Shape:
    """Aggregate neighbouring bars, first to last.

    A bar opens where the one before closed, so empty ones among them change nothing.
    """
    first = bars[0]
    if len(bars) == 1:
        return first
    _, highs, lows, _, lots, trades, weights, _, taken, taken_weights = zip(*bars, strict=True)
    return Shape(
        first.open, max(highs), min(lows), bars[-1].close,
        sum(lots), sum(trades), sum(weights), first.first, sum(taken), sum(taken_weights),
    )  # fmt: skip


def shape_of(offsets: array, lots: array, first: int) -> Shape:
    """Return the bar of trades, one at the least, of which the first is the day's `first`-th."""
    weights = [price * size for price, size in zip(offsets, lots, strict=True)]
    takes = [buyer_takes(size) for size in lots]
    return Shape(
        offsets[0], max(offsets), min(offsets), offsets[-1],
        sum(lots), len(lots), sum(weights), first,
        sum(compress(lots, takes)), sum(compress(weights, takes)),
    )  # fmt: skip


def standing_at(close: int, first: int) -> Shape:
    """Return the bar of no trade at all, after one that closed there."""
    return Shape(close, close, close, close, 0, 0, 0, first, 0, 0)


def buyer_takes(lots: int) -> bool:
    """Tell of a trade of so many lots who takes what the other offers: half of all are odd."""
    return bool(lots & 1)


def _trades_per_minute(random: Random, quiet: bool) -> list[int]:
    traded = _traded_minutes(random) if quiet else range(MINUTES)
    counts = [0] * MINUTES
    for minute in traded:
        counts[minute] = 1
    for minute in random.choices(traded, k=TRADES[quiet] - len(traded)):
        counts[minute] += 1
    return counts


def _traded_minutes(random: Random) -> list[int]:
    pause_at = random.randrange(60, MINUTES - _PAUSE - 60)
    share = random.uniform(0.25, 0.6)
    return [
        m
        for m in range(MINUTES)
        if not pause_at <= m < pause_at + _PAUSE and random.random() > share
    ]


def _prices(random: Random, counts: list[int], target: int, stride: int) -> array:
    """Walk from 0 to exactly `target`; each minute's first trade repeats the price before it."""
    moves = [0 if first else 1 for n in counts for first in [True] + [False] * (n - 1) if n]
    steps = random.choices(range(-stride, stride + 1), k=len(moves))
    walk = list(accumulate(step * move for step, move in zip(steps, moves, strict=True)))
    done = list(accumulate(moves))
    missing, total = target - walk[-1], done[-1]
    return array("i", (at + missing * n // total for at, n in zip(walk, done, strict=True)))


def _minute_bars(counts: list[int], offsets: array, lots: array) -> list[Shape]:
    bars, first, close = [], 0, 0
    for n in counts:
        prices, sizes = offsets[first : first + n], lots[first : first + n]
        if n:
            close = prices[-1]
            bars.append(shape_of(prices, sizes, first))
        else:
            bars.append(standing_at(close, first))
        first += n
    return bars


def _longer(minutes: list[Shape], timeframe: Timeframe) -> list[Shape]:
    length = timeframe.ms // MINUTE_MS
    return [merge(minutes[at : at + length]) for at in range(0, MINUTES, length)]
