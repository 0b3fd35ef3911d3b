"""Candles as `/v1/candles` tells them, in pages, put together. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from livermore_reader.candles import Asked, Candles
from livermore_reader.selection import GRACE_MS
from livermore_reader.stretches import Stretches, union
from livermore_reader.times import EARLIEST_MS, length_ms

MOST_ROWS = 1000  # of a page
HISTORY = "history"
ORDER = ("stream", "healed", "rest")

Page = Mapping[str, Any]


def next_question(asked: Asked, pages: Sequence[Page]) -> dict[str, Any] | None:
    """Return the parameters of the next page, None where the pages so far are all.

    With a start the oldest page comes first, without it the newest.
    """
    start, end, left = asked.start_ms, asked.end_ms, asked.limit
    if pages:
        left = left and left - MOST_ROWS * len(pages)
        if left is not None and left <= 0:
            return None
        if start is not None:
            start = pages[-1]["next"]
        elif left:
            end = _begin(asked, pages)
        if start is None and (asked.start_ms is not None or not left or (end or 0) < EARLIEST_MS):
            return None
    return {
        "exchange": asked.exchange,
        "symbol": asked.symbol,
        "timeframe": asked.timeframe,
        "start": start,
        "end": end,
        "limit": MOST_ROWS if left is None else min(left, MOST_ROWS),
        "open": int(asked.live),
        "partial": 1,
    }


def _begin(asked: Asked, pages: Sequence[Page]) -> int:
    """Return where the oldest page begins: it has so many candles, or is so many bars long."""
    step, now_ms = length_ms(asked.timeframe), pages[0]["time"]
    begin_ms = now_ms - now_ms % step if asked.end_ms is None else min(asked.end_ms, now_ms)
    for page in pages:
        first = [row[0] for row in page["candles"][:1]]
        is_full = len(page["candles"]) == MOST_ROWS
        begin_ms = first[0] if is_full else min(begin_ms - MOST_ROWS * step, *first, begin_ms)
    return begin_ms


def candles_of(asked: Asked, pages: Sequence[Page]) -> Candles:
    """Return what pages tell together. Raises LookupError, TypeError for what is no page."""
    if asked.start_ms is None:
        pages = pages[::-1]
    newest = pages[-1]
    missing = union((start, end) for page in pages for start, end in page["missing"])
    now_ms, newest_close_ms = newest["time"], newest["newestClose"]
    return Candles(
        newest["exchange"],
        newest["symbol"],
        newest["timeframe"],
        [row for page in pages for row in page["candles"]],
        missing,
        _is_stale(missing, newest_close_ms, now_ms - GRACE_MS, length_ms(asked.timeframe)),
        newest_close_ms,
        now_ms,
        _joined(page["source"] for page in pages),
        newest.get("open"),
    )


def _is_stale(missing: Stretches, newest_close_ms: int | None, due_ms: int, step: int) -> bool:
    """Tell whether the newest bar is missing of those that ended before `due_ms`."""
    if not missing or missing[-1][1] < due_ms - due_ms % step:
        return False
    return newest_close_ms is None or newest_close_ms <= missing[-1][0]


def _joined(sources: Iterator[str | None]) -> str | None:
    found = {each for source in sources if source for each in source.split(", ")}
    if any(HISTORY in each for each in found):
        return HISTORY if found == {HISTORY} else f"cache+{HISTORY}"
    return ", ".join(sorted(found, key=lambda each: (*ORDER, each).index(each))) or None
