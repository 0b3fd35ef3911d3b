"""A pair's candles as those of another timeframe, of which what is still so is made once."""

from bisect import bisect_left

import orjson

from livermore.market.coverage import Coverage, Interval, intersect, union
from livermore.market.derived import AnyTimeframe, derive
from livermore.market.timeframe import Timeframe
from serving.memory.stored import StoredRows
from serving.memory.windows import Window


def view(window: Window, timeframe: AnyTimeframe) -> Window:
    """Return a window of the candles that are kept as one of a timeframe; it is made once."""
    if isinstance(timeframe, Timeframe):
        return window
    if timeframe.text not in window.derived:
        stored, coverage = _derived(window, timeframe, window.earlier.pop(timeframe.text, None))
        made = Window(stored.times(), stored, coverage, is_readable=window.is_readable)
        window.derived[timeframe.text] = made
    return window.derived[timeframe.text]


def _derived(
    window: Window, timeframe: AnyTimeframe, earlier: Window | None
) -> tuple[StoredRows, Coverage]:
    """Return the bars of a longer timeframe: of those made `earlier`, what is still so."""
    stretch = _same(window, timeframe, earlier) if earlier and window.times else None
    if earlier is None or stretch is None:
        made, coverage = derive(window.rows, window.coverage, timeframe)
        return StoredRows.of(made), coverage
    at, end = (bisect_left(earlier.times, each) for each in stretch)
    first, last = (bisect_left(window.times, each) for each in stretch)
    before, coverage = derive(window.rows[:first], window.coverage, timeframe)
    behind, _ = derive(window.rows[last:], window.coverage, timeframe)
    kept = earlier.rows.texts(at, end)
    texts = [*map(orjson.dumps, before), *kept, *map(orjson.dumps, behind)]
    return StoredRows(texts), coverage


def _same(window: Window, timeframe: AnyTimeframe, earlier: Window) -> Interval | None:
    """Return a stretch whose bars are those made earlier: of rows that are the same, and known."""
    since_ms = timeframe.ceil(window.times[0])
    until_ms = timeframe.floor(window.same_until_ms)
    if since_ms >= until_ms:
        return None
    same = ((since_ms, until_ms),)
    known = union((timeframe.ceil(start), timeframe.floor(end)) for start, end in window.coverage)
    is_known_alike = intersect(known, same) == intersect(earlier.coverage, same)
    return same[0] if is_known_alike else None
