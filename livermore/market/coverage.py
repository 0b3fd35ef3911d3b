"""Sets of time intervals: which stretches of a pair are known to be complete.

A `Coverage` is a tuple of half-open `(from_ms, to_ms)`, disjoint, not touching, ascending.
"""

from collections.abc import Iterable

Interval = tuple[int, int]
Coverage = tuple[Interval, ...]


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
    holes = union(taken)
    for start, end in coverage:
        for hole_start, hole_end in holes:
            if hole_end <= start or hole_start >= end:
                continue
            if start < hole_start:
                left.append((start, hole_start))
            start = hole_end
        if start < end:
            left.append((start, end))
    return tuple(left)


def missing(coverage: Coverage, start_ms: int, end_ms: int) -> Coverage:
    """Return the stretches of `[start_ms, end_ms)` that `coverage` does not hold."""
    return subtract(union([(start_ms, end_ms)]), coverage)


def span(coverage: Coverage) -> int:
    """Return the milliseconds that `coverage` holds."""
    return sum(end - start for start, end in coverage)
