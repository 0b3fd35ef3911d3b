"""Sets of time intervals: which stretches of a pair are known to be complete.

A `Coverage` is a tuple of half-open `(from_ms, to_ms)`, disjoint, not touching, ascending.
"""

from collections.abc import Iterable
from itertools import islice

from livermore.market.timeframe import Timeframe

Interval = tuple[int, int]
Coverage = tuple[Interval, ...]

LONGEST_LEAP_MS = 600_000  # a clock that was further ahead than that would have been noticed


def union(intervals: Iterable[Interval]) -> Coverage:
    """Return the smallest coverage that holds every one of `intervals`, given in any order.

    Empty intervals (from at or after to) hold nothing.
    """
    merged: list[Interval] = []
    for start, end in sorted(pair for pair in intervals if pair[0] < pair[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def subtract(coverage: Coverage, taken: Iterable[Interval]) -> Coverage:
    """Return what of `coverage` is in none of `taken`."""
    left: list[Interval] = []
    holes, at = union(taken), 0
    for start, end in coverage:
        while at < len(holes) and holes[at][1] <= start:
            at += 1
        for hole_start, hole_end in islice(holes, at, None):
            if hole_start >= end:
                break
            if start < hole_start:
                left.append((start, hole_start))
            start = hole_end
        if start < end:
            left.append((start, end))
    return tuple(left)


def intersect(coverage: Coverage, other: Coverage) -> Coverage:
    """Return what is in both."""
    return subtract(coverage, subtract(coverage, other))


def missing(coverage: Coverage, start_ms: int, end_ms: int) -> Coverage:
    """Return the stretches of `[start_ms, end_ms)` that `coverage` does not hold."""
    return subtract(union([(start_ms, end_ms)]), coverage)


def oldest_told_ms(timeframe: Timeframe, now_ms: int, depth_rows: int | None) -> int:
    """Return when the oldest bar opened that an exchange still tells of; 0 where it tells of all.

    `depth_rows` is of how many of its newest closed bars it tells, whichever the timeframe, None
    where there is no such limit. What is older is not to be had: nobody says whether it is empty.
    """
    if depth_rows is None:
        return 0
    return max(0, timeframe.floor(now_ms) - depth_rows * timeframe.ms)


def span(coverage: Coverage) -> int:
    """Return the milliseconds that `coverage` holds."""
    return sum(end - start for start, end in coverage)


def believable(
    coverage: Coverage, timeframe: Timeframe, now_ms: int, apart_ms: int = 0
) -> Coverage:
    """Return what of `coverage` can be true at `now_ms`, by the exchange's clock.

    Nothing is known of the future. Coverage that reaches into it, further than two clocks may be
    apart, was written by somebody whose clock was ahead, who took bars for closed that were open:
    those that ended in the ten minutes before it are in doubt too.
    """
    until_ms = coverage[-1][1] if coverage else 0
    if until_ms <= now_ms + apart_ms:
        return coverage
    cut_ms = timeframe.floor(min(now_ms, until_ms - LONGEST_LEAP_MS))
    return intersect(coverage, ((0, cut_ms),))
