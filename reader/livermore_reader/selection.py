"""Which candles answer a question, and which of them nobody knows. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from livermore_reader.candles import Asked
from livermore_reader.stretches import Stretches, missing
from livermore_reader.times import EARLIEST_MS, length_ms

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


def select(
    times: Sequence[int], known: Stretches, asked: Asked, now_ms: int, told_ms: int = 0
) -> Selection:
    """Return what of the closed candles that opened at `times` answers, all of which `known` tells.

    A bar that has ended just now and isn't there is left out, and not missing. Where something is
    missing a limit is of bars by time, whether they had trades or not. What opened before `told_ms`
    nobody tells any more: of the newest there are fewer then, if there are any.
    """
    step = length_ms(asked.timeframe)
    open_ms = now_ms - now_ms % step
    end_ms = open_ms if asked.end_ms is None else min(_ceil(asked.end_ms, step), open_ms)
    is_on_its_way = now_ms < open_ms + GRACE_MS and missing(known, open_ms - step, open_ms)
    due_ms = open_ms - step if is_on_its_way else open_ms
    until_ms = min(end_ms, due_ms)
    found = (_newest if asked.start_ms is None else _oldest)(times, known, asked, until_ms)
    if not found.missing:
        return found
    is_older = asked.start_ms is None and found.missing[-1][1] <= told_ms
    if is_older and found.first < found.last:
        return found._replace(missing=())
    since_ms = 0 if asked.start_ms is None else _ceil(asked.start_ms, step)
    if asked.limit is not None and asked.start_ms is None:
        since_ms = max(EARLIEST_MS, until_ms - asked.limit * step)
    elif asked.limit is not None:
        until_ms = min(until_ms, since_ms + asked.limit * step)
    gone = missing(known, since_ms, until_ms)
    if not gone:  # so many bars were quiet in part, and whether others follow nobody knows
        gone = found.missing[:1]
        until_ms = gone[0][0]
    first, last = bisect_left(times, since_ms), bisect_left(times, until_ms)
    is_stale = bool(gone) and gone[-1][1] == due_ms
    return Selection(first, max(first, last), until_ms, gone, is_stale, False)


def until_of(asked: Asked, now_ms: int) -> int:
    """Return where the last of the closed bars ends that may be asked for."""
    step = length_ms(asked.timeframe)
    open_ms = now_ms - now_ms % step
    return open_ms if asked.end_ms is None else min(_ceil(asked.end_ms, step), open_ms)


def needed_of(times: Sequence[int], asked: Asked, found: Selection, now_ms: int) -> tuple[int, int]:
    """Return of which stretch all had to be known for what was found."""
    step, until_ms = length_ms(asked.timeframe), until_of(asked, now_ms)
    is_full = asked.limit is not None and found.last - found.first == asked.limit
    if asked.start_ms is not None:
        start_ms = _ceil(asked.start_ms, step)
        return start_ms, times[found.last - 1] + step if is_full else until_ms
    return times[found.first] if is_full else until_ms - (asked.limit or 0) * step, until_ms


def _newest(times: Sequence[int], known: Stretches, asked: Asked, until_ms: int) -> Selection:
    """Return the newest candles of what is known without a gap."""
    last = bisect_left(times, until_ms)
    reach_ms = until_ms
    for start, end in reversed(known):
        if start < until_ms <= end:
            reach_ms = start
            break
    first, since_ms = bisect_left(times, reach_ms), reach_ms
    if asked.limit is not None:
        first = max(first, last - asked.limit)
        if last - first == asked.limit:
            return Selection(first, last, until_ms, (), False, False)
        since_ms = max(EARLIEST_MS, until_ms - asked.limit * length_ms(asked.timeframe))
    return Selection(first, last, until_ms, missing(known, since_ms, until_ms), False, False)


def _oldest(times: Sequence[int], known: Stretches, asked: Asked, until_ms: int) -> Selection:
    """Return the candles from a start on."""
    step = length_ms(asked.timeframe)
    since_ms = _ceil(asked.start_ms or 0, step)
    first = bisect_left(times, since_ms)
    last = max(first, bisect_left(times, until_ms))
    is_full = asked.limit is not None and last - first >= asked.limit
    if is_full:
        last = first + (asked.limit or 0)
        until_ms = times[last - 1] + step
    return Selection(first, last, until_ms, missing(known, since_ms, until_ms), False, is_full)


def _ceil(time_ms: int, step: int) -> int:
    return -(-time_ms // step) * step


def by_closes(now_ms: int, newest_close_ms: int | None) -> int:
    """Return a time that is not before the end of a bar that is known to have closed."""
    if newest_close_ms is None or newest_close_ms - now_ms >= MOST_BEHIND_MS:
        return now_ms
    return max(now_ms, newest_close_ms)
