"""What Redis keeps of a pair, and what is known of it. Pure."""

import json
from collections.abc import Sequence
from operator import lt
from typing import Any, NamedTuple

from livermore_reader.candles import Row
from livermore_reader.stretches import Stretches, both, union

EMPTY = "empty"  # told without a row
NOTHING = b"[]"
MOST_TOGETHER = 5_000  # rows: more of them leave the processor's cache before they are looked at
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


def read_pairs(stored: Sequence[Stored], steps_ms: Sequence[int], lag_ms: int) -> list[Pair]:
    """Return what is known of each; nothing is of one in which something can't be read."""
    rows = _rows_of_each([each.members or () for each in stored])
    known = _coverage_of_each([each.coverage for each in stored])
    return [_pair(*each, lag_ms) for each in zip(stored, rows, known, steps_ms, strict=True)]


def read_rows(members: Sequence[bytes] | None) -> list[Row]:
    """Return candles with ten columns, None for those that are not known.

    None at all where one of them is no candle, or not in its place: nobody knows which is missing.
    """
    try:
        return _rows_of(json.loads(_row_text(members or ()).decode()), len(members or ()))
    except ValueError:
        return []


def read_coverage(stored: bytes | None) -> Stretches:
    try:
        return _stretches_of(json.loads((stored or NOTHING).decode()))
    except ValueError:
        return ()


def _pair(stored: Stored, rows: Sequence[Row], known: Stretches, step_ms: int, lag_ms: int) -> Pair:
    if not rows:
        return Pair((), ())
    if stored.coverage_after != stored.coverage:
        known = both(known, read_coverage(stored.coverage_after))
    if stored.unconfirmed:
        known = union([*known, *told_empty(stored.unconfirmed, step_ms, lag_ms)])
    return Pair(rows, known)


def _rows_of_each(members: Sequence[Sequence[bytes]]) -> list[list[Row]]:
    is_few = sum(map(len, members)) <= MOST_TOGETHER
    found = _read_together([_row_text(each) for each in members]) if is_few else None
    if found is None:
        return [read_rows(each) for each in members]
    return [_rows_of(rows, len(each)) for rows, each in zip(found, members, strict=True)]


def _coverage_of_each(stored: Sequence[bytes | None]) -> list[Stretches]:
    found = _read_together([each or NOTHING for each in stored])
    return (
        [read_coverage(each) for each in stored] if found is None else [*map(_stretches_of, found)]
    )


def _read_together(texts: Sequence[bytes]) -> list[Any] | None:
    """Return what texts of JSON say: one after the other takes five times as long.

    None where one of them can't be read.
    """
    try:
        found = json.loads((b"[%s]" % b",".join(texts)).decode())
    except ValueError:
        return None
    return found if len(found) == len(texts) else None


def _row_text(members: Sequence[bytes]) -> bytes:
    return b"[%s]" % b",".join(members)


def _rows_of(found: Any, count: int) -> list[Row]:
    """Return rows that were read from so many members, none where one is no candle."""
    try:
        rows = [row if len(row) == 10 else row + UNKNOWN for row in found]
        times = [row[0] for row in rows if len(row) == 10]
        is_sound = len(times) == count and all(type(each) is int for each in times)
        return rows if is_sound and all(map(lt, times, times[1:])) else []
    except TypeError:
        return []


def _stretches_of(found: Any) -> Stretches:
    try:
        return union([(int(start), int(end)) for start, end in found])
    except (ValueError, TypeError):
        return ()


def told_empty(stored: bytes | None, step_ms: int, lag_ms: int) -> Stretches:
    """Return the stretches told without a row when the exchange was no longer late with them."""
    try:
        found = []
        for start, end, reason, seen_ms, *_ in json.loads(stored or NOTHING):
            if reason == EMPTY:
                settled_ms = seen_ms - lag_ms
                found.append((start, min(end, settled_ms - settled_ms % step_ms)))
        return union(found)
    except (ValueError, TypeError):
        return ()
