"""Which candles answer a question, and which of them nobody knows. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from livermore_reader.candles import Asked
from livermore_reader.stretches import Stretches, missing
from livermore_reader.times import length_ms

GRACE_MS = 5_000  # after its end a bar may be on its way that long
MOST_BEHIND_MS = 60_000  # a candle that is further ahead than that says nothing of the time


class Selection(NamedTuple):
    """`[first, last)` of the closed candles, up to when these are all, and what is missing.

    `is_stale` says that the newest one is, `is_full` that a limit left out later ones.
    """

    first: int
    last: int
    until_ms: int
    missing: Stretches
    is_stale: bool
    is_full: bool


def select(times: Sequence[int], known: Stretches, asked: Asked, now_ms: int) -> Selection:
    """Return what of the closed candles that opened at `times` answers, all of which `known` tells.

    A bar that has ended just now and isn't there is left out, and not missing.
    """
    step = length_ms(asked.timeframe)
    open_ms = now_ms - now_ms % step
    until_ms = open_ms if asked.end_ms is None else min(-(-asked.end_ms // step) * step, open_ms)
    newest_ms = open_ms - step
    if until_ms == open_ms and now_ms < open_ms + GRACE_MS and missing(known, newest_ms, open_ms):
        until_ms = open_ms = newest_ms
    last, is_full = bisect_left(times, until_ms), False
    if asked.start_ms is not None:
        since_ms = -(-asked.start_ms // step) * step
        first = bisect_left(times, since_ms)
        if asked.limit is not None and last - first >= asked.limit:
            last, is_full = first + asked.limit, True
            until_ms = times[last - 1] + step
        last = max(first, last)
    else:
        first = 0 if asked.limit is None else max(0, last - asked.limit)
        since_ms = times[first] if last > first else until_ms
        if asked.limit is not None and last - first < asked.limit:
            since_ms = until_ms - asked.limit * step
    gone = missing(known, since_ms, until_ms)
    is_stale = bool(gone) and until_ms == open_ms and gone[-1][1] == open_ms
    return Selection(first, last, until_ms, gone, is_stale, is_full)


def by_closes(now_ms: int, newest_close_ms: int | None) -> int:
    """Return a time that is not before the end of a bar that is known to have closed."""
    if newest_close_ms is None or newest_close_ms - now_ms >= MOST_BEHIND_MS:
        return now_ms
    return max(now_ms, newest_close_ms)
