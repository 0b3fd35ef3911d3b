"""Candles of many symbols side by side. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from livermore_reader.candles import Candles
from livermore_reader.selection import GRACE_MS
from livermore_reader.times import length_ms


def level(candles: Sequence[Candles], limit: int | None) -> list[Candles]:
    """Return them without a bar that has ended just now, unless all have it.

    It is on its way to those that lack it: a row of which half is missing would look whole. Of
    these one that is older goes where as many are there as a limit takes.
    """
    step = length_ms(candles[0].timeframe)
    now_ms = max(each.now_ms for each in candles)
    ended_ms = now_ms - now_ms % step
    newest_ms = ended_ms - step
    have_it = [bool(each.rows) and each.rows[-1][0] == newest_ms for each in candles]
    if now_ms >= ended_ms + GRACE_MS or all(have_it):
        return list(candles)
    return [
        replace(each, rows=each.rows[:-1] if has_it else each.rows[len(each.rows) == limit :])
        for each, has_it in zip(candles, have_it, strict=True)
    ]


def told_of(candles: Sequence[Candles], column: str) -> dict[str, Any]:
    """Return what all of them stand on: as old as the oldest, complete where each one is."""
    each = [one.attrs() for one in candles]
    ages = [one["age_ms"] for one in each]
    closes = [one["newest_close"] for one in each]
    sources = {kind for one in each for kind in (one["source"] or "").split(", ") if kind}
    return {
        "exchange": each[0]["exchange"],
        "timeframe": each[0]["timeframe"],
        "column": column,
        "age_ms": None if None in ages else max(ages),
        "complete": all(one["complete"] for one in each),
        "missing": {one["symbol"]: one["missing"] for one in each if one["missing"]},
        "newest_close": None if None in closes else min(closes),
        "source": ", ".join(sorted(sources)) or None,
    }
