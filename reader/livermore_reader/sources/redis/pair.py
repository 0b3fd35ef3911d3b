"""What Redis keeps of a pair, and what is known of it. Pure."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from livermore_reader.candles import Row
from livermore_reader.stretches import Stretches, both, union

EMPTY = "empty"  # told without a row
UNKNOWN = [None] * 4


class Stored(NamedTuple):
    """Replies of Redis about a pair: each may be an error.

    Coverage is read before its candles and behind them: what both say was so in between.
    """

    coverage: Any
    members: Any
    coverage_after: Any
    unconfirmed: Any


class Pair(NamedTuple):
    """A pair's closed candles, of ten columns, ascending, and when all of them are known."""

    rows: Sequence[Row]
    known: Stretches


def read_pair(stored: Stored, step_ms: int, lag_ms: int) -> Pair:
    """Return what is known; nothing is where something can't be read."""
    rows = read_rows(stored.members)
    if not rows:
        return Pair((), ())
    known = both(read_coverage(stored.coverage), read_coverage(stored.coverage_after))
    return Pair(rows, union([*known, *told_empty(stored.unconfirmed, step_ms, lag_ms)]))


def read_rows(members: Any) -> list[Row]:
    """Return candles as they are stored with ten columns, None for those that are not known."""
    if not isinstance(members, list):
        return []
    try:
        found = json.loads(b"[%s]" % b",".join(members))
        rows = [row if len(row) == 10 else row + UNKNOWN for row in found]
    except (ValueError, TypeError):
        return []
    sound = all(len(row) == 10 and type(row[0]) is int for row in rows)
    return rows if sound else []


def read_coverage(stored: Any) -> Stretches:
    try:
        return union((int(start), int(end)) for start, end in json.loads(stored or b"[]"))
    except (ValueError, TypeError):
        return ()


def told_empty(stored: Any, step_ms: int, lag_ms: int) -> Stretches:
    """Return the stretches told without a row when the exchange was no longer late with them."""
    try:
        found = []
        for start, end, reason, seen_ms, *_ in json.loads(stored or b"[]"):
            if reason == EMPTY:
                settled_ms = seen_ms - lag_ms
                found.append((start, min(end, settled_ms - settled_ms % step_ms)))
        return union(found)
    except (ValueError, TypeError):
        return ()
