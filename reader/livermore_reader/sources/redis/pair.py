"""What Redis keeps of a pair, and what is known of it. Pure."""

import json
from collections.abc import Sequence
from operator import lt
from typing import NamedTuple

from livermore_reader.candles import Row
from livermore_reader.stretches import Stretches, both, union

EMPTY = "empty"  # told without a row
UNKNOWN: Row = [None] * 4


class Stored(NamedTuple):
    """What Redis has of a pair: coverage was read before its candles and behind them."""

    coverage: bytes | None
    members: list[bytes] | None
    coverage_after: bytes | None
    unconfirmed: bytes | None


class Pair(NamedTuple):
    """A pair's closed candles, of ten columns, ascending, and when all of them are known."""

    rows: Sequence[Row]
    known: Stretches


def read_pair(stored: Stored, step_ms: int, lag_ms: int) -> Pair:
    """Return what is known; nothing is where something can't be read."""
    rows = read_rows(stored.members)
    if not rows:
        return Pair((), ())
    known = read_coverage(stored.coverage)
    if stored.coverage_after != stored.coverage:
        known = both(known, read_coverage(stored.coverage_after))
    if stored.unconfirmed:
        known = union([*known, *told_empty(stored.unconfirmed, step_ms, lag_ms)])
    return Pair(rows, known)


def read_rows(members: Sequence[bytes] | None) -> list[Row]:
    """Return candles with ten columns, None for those that are not known.

    None at all where one of them is no candle, or not in its place: nobody knows which is missing.
    """
    try:
        found = json.loads((b"[%s]" % b",".join(members or ())).decode())
        rows = [row if len(row) == 10 else row + UNKNOWN for row in found]
        times = [row[0] for row in rows if len(row) == 10]
        is_sound = all(type(each) is int for each in times) and len(times) == len(found)
        return rows if is_sound and all(map(lt, times, times[1:])) else []
    except (ValueError, TypeError):
        return []


def read_coverage(stored: bytes | None) -> Stretches:
    try:
        return union(
            (int(start), int(end)) for start, end in json.loads((stored or b"[]").decode())
        )
    except (ValueError, TypeError):
        return ()


def told_empty(stored: bytes | None, step_ms: int, lag_ms: int) -> Stretches:
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
