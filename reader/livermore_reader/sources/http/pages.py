"""Candles as `/v1/candles` tells them, in pages, put together. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from livermore_reader.candles import Asked, Candles
from livermore_reader.selection import GRACE_MS
from livermore_reader.stretches import Stretches, union
from livermore_reader.times import EARLIEST_MS, length_ms

MOST_ROWS = 1000  # of a page
MOST_FURTHER = 50  # pages behind as many bars as candles are wanted: those were quiet
HISTORY = "history"
ORDER = ("stream", "healed", "rest")

Page = Mapping[str, Any]


def next_question(asked: Asked, pages: Sequence[Page]) -> dict[str, Any] | None:
    """Return the parameters of the next page, None where the pages so far are all.

    With a start the oldest page comes first, without it the newest.
    """
    start, end, left = asked.start_ms, asked.end_ms, asked.limit
    if pages and start is not None:
        start = pages[-1]["next"]
        left = _left(asked, pages)
        if start is None or left == 0:
            return None
    elif pages:
        left, end = (left or 0) - MOST_ROWS * len(pages), _begin(asked, pages)
        if left <= 0 or end < EARLIEST_MS:
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


def _left(asked: Asked, pages: Sequence[Page]) -> "int | None":
    """Return how many bars the next page may have, None for any number, 0 where there is none.

    Pages go on behind quiet bars, but where something is missing: so many bars are all then.
    """
    if asked.limit is None or pages[-1]["next"] is None:
        return None
    left = asked.limit - sum(len(page["candles"]) for page in pages)
    bars_left = (_window_end(asked) - pages[-1]["next"]) // length_ms(asked.timeframe)
    if bars_left > 0:
        return max(0, min(left, bars_left))
    is_over = left <= 0 or any(page["missing"] for page in pages)
    return 0 if is_over or len(pages) > asked.limit // MOST_ROWS + MOST_FURTHER else MOST_ROWS


def _window_end(asked: Asked) -> int:
    """Return where so many bars from the start on end."""
    step = length_ms(asked.timeframe)
    return -(-(asked.start_ms or 0) // step) * step + (asked.limit or 0) * step


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
    rows = [row for page in pages for row in page["candles"]]
    now_ms, newest_close_ms = newest["time"], newest["newestClose"]
    open_row = newest.get("open")
    if asked.start_ms is not None and asked.limit is not None:
        next_ms, window_end = newest["next"], _window_end(asked)
        if not missing and len(rows) < asked.limit and next_ms is not None:
            missing = ((next_ms, now_ms if asked.end_ms is None else min(asked.end_ms, now_ms)),)
        if missing and missing[0][0] >= window_end:  # behind bars that were quiet
            rows, open_row = [row for row in rows if row[0] < missing[0][0]], None
            missing = missing[: len(rows) < asked.limit]
        if len(rows) >= asked.limit:
            rows, open_row = rows[: asked.limit], None
    return Candles(
        newest["exchange"],
        newest["symbol"],
        newest["timeframe"],
        rows,
        missing,
        _is_stale(missing, newest_close_ms, now_ms - GRACE_MS, length_ms(asked.timeframe)),
        newest_close_ms,
        now_ms,
        _joined(page["source"] for page in pages),
        open_row,
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
