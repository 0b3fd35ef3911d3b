"""Which candles of a pair answer a request, and which of them nobody knows. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from livermore.market.coverage import Coverage, Interval, missing
from livermore.market.derived import AnyTimeframe, base_of
from warmup.cache.candles import CANDLES_KEPT

GRACE_MS = 5_000  # after its end a bar may be on its way that long


class Wanted(NamedTuple):
    """A request: bars that opened from `start_ms` to `end_ms`, both included, `limit` at most.

    With a start the oldest, without it the newest; no end is now.
    """

    start_ms: int | None
    end_ms: int | None
    limit: int


class Selection(NamedTuple):
    """`[first, last)` of the closed candles, whether the open one follows, and what is unknown."""

    first: int
    last: int
    takes_open: bool
    missing: Coverage


def select(
    times: Sequence[int],
    coverage: Coverage,
    timeframe: AnyTimeframe,
    wanted: Wanted,
    now_ms: int,
    has_open: bool = True,
) -> Selection:
    """Return what of the closed candles that opened at `times` answers a request.

    Where no open candle is known, `has_open` False, closed ones fill its place.
    A bar that has ended just now and isn't there is left out, and with it the open one: who drops
    the last row as open shall not take a closed one for it, nor the other way round.
    """
    step = timeframe.ms
    open_ms = timeframe.floor(now_ms)
    end_ms = open_ms if wanted.end_ms is None else min(wanted.end_ms, open_ms)
    until_ms = min(timeframe.floor(end_ms) + step, open_ms)  # of the closed ones
    takes_open = has_open and end_ms == open_ms
    if until_ms == open_ms and is_awaited(coverage, timeframe, now_ms):
        until_ms, takes_open = open_ms - step, False
    if wanted.start_ms is not None:
        return _oldest(times, coverage, timeframe, wanted, until_ms, takes_open)
    count = wanted.limit - takes_open
    last = bisect_left(times, until_ms)
    reach_ms = reach(coverage, until_ms)
    first = max(last - count, bisect_left(times, reach_ms), 0)
    needed_ms = until_ms - count * step
    if last - first == count:
        needed_ms = times[first] if count else until_ms
    return Selection(first, last, takes_open, missing(coverage, needed_ms, until_ms))


def needed_of(
    times: Sequence[int],
    timeframe: AnyTimeframe,
    wanted: Wanted,
    found: Selection,
    now_ms: int,
) -> Interval:
    """Return of which stretch all had to be known for what was found."""
    open_ms = timeframe.floor(now_ms)
    until_ms = open_ms
    if wanted.end_ms is not None:
        until_ms = min(timeframe.floor(wanted.end_ms) + timeframe.ms, open_ms)
    count = found.last - found.first
    if wanted.start_ms is not None:
        start_ms = timeframe.ceil(wanted.start_ms)
        is_full = count == wanted.limit
        return start_ms, times[found.last - 1] + timeframe.ms if is_full else until_ms
    closed = wanted.limit - found.takes_open
    is_full = count == closed and count > 0
    return times[found.first] if is_full else until_ms - closed * timeframe.ms, until_ms


def until_of(timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> int:
    """Return where the last of the closed bars ends that a request may want."""
    until_ms = timeframe.floor(now_ms)
    if wanted.end_ms is not None:
        until_ms = min(timeframe.floor(wanted.end_ms) + timeframe.ms, until_ms)
    return until_ms


def takes_newest(timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> bool:
    """Tell whether a request goes up to now: none of its end, or an end in the open bar."""
    return wanted.end_ms is None or wanted.end_ms >= timeframe.floor(now_ms)


def stretch_of(timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> Interval:
    """Return where the closed bars lie that a request may want, if each has a candle."""
    until_ms = until_of(timeframe, wanted, now_ms)
    length_ms = wanted.limit * timeframe.ms
    if wanted.start_ms is None:
        return until_ms - length_ms, until_ms
    start_ms = timeframe.ceil(wanted.start_ms)
    return start_ms, min(start_ms + length_ms, until_ms)


def kept_from_ms(timeframe: AnyTimeframe, now_ms: int) -> int:
    """Return from when on the cache can hold what a timeframe is made of."""
    base = base_of(timeframe)
    return base.floor(now_ms) - CANDLES_KEPT * base.ms


def select_known(times: Sequence[int], coverage: Coverage, stretch: Interval) -> Selection:
    """Return what there is in a stretch of closed bars, and what of it is unknown."""
    first, until = (bisect_left(times, each) for each in stretch)
    return Selection(first, max(first, until), False, missing(coverage, *stretch))


def is_awaited(coverage: Coverage, timeframe: AnyTimeframe, now_ms: int) -> bool:
    """Tell whether the bar that has ended last did so just now, and isn't there."""
    open_ms = timeframe.floor(now_ms)
    is_early = now_ms < open_ms + GRACE_MS
    return is_early and bool(missing(coverage, open_ms - timeframe.ms, open_ms))


def _oldest(
    times: Sequence[int],
    coverage: Coverage,
    timeframe: AnyTimeframe,
    wanted: Wanted,
    until_ms: int,
    takes_open: bool,
) -> Selection:
    start_ms = timeframe.ceil(wanted.start_ms or 0)
    first = bisect_left(times, start_ms)
    last = max(first, min(first + wanted.limit, bisect_left(times, until_ms)))
    is_full = last - first == wanted.limit
    if is_full:
        until_ms = min(until_ms, times[last - 1] + timeframe.ms)
    takes_open = takes_open and not is_full and start_ms <= until_ms
    return Selection(first, last, takes_open, missing(coverage, start_ms, until_ms))


def reach(coverage: Coverage, until_ms: int) -> int:
    """Return from when on everything up to a time is known, that time itself where it isn't."""
    for start_ms, end_ms in reversed(coverage):
        if start_ms < until_ms <= end_ms:
            return start_ms
    return until_ms
