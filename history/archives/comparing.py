"""Rows of a bulk file beside those of REST: bars that both have are to be the same. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from history import parquet
from history.parquet import Row
from livermore.market.coverage import Interval
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    import pyarrow

SIX = 6  # numbers that each row has
APART = 5  # bars that may lie between two of REST's in one stretch


class Compared(NamedTuple):
    """How many bars both have, and of these that differ the file's row and REST's."""

    bars: int
    different: list[tuple[Row, Row]]


def compare(
    table: "pyarrow.Table", told: Sequence["pyarrow.Table"], timeframe: Timeframe
) -> Compared:
    """Compare a table with what REST told, in one or more; columns that one lacks say nothing."""
    counts = [_count_same(table, each) for each in told]
    if None not in counts and _are_apart(told):
        return Compared(sum(filter(None, counts)), [])
    rows = {int(row[0]): row for each in told for row in parquet.rows_of(each)}
    count, different = 0, []
    for stretch in _stretches(rows, timeframe.ms):
        for row in parquet.rows_of(parquet.between(table, *stretch)):
            if other := rows.get(int(row[0])):
                count += 1
                if not _are_same(row, other):
                    different.append((row, other))
    return Compared(count, different)


def _count_same(table: "pyarrow.Table", told: "pyarrow.Table") -> int | None:
    """Return how many bars both have, None where either has one between them that the other lacks.

    None as well where any differ, or some have columns and others not.
    """
    if not table.num_rows or not told.num_rows:
        return 0
    times = parquet.times_of(table)
    other = parquet.between(told, times[0], times[-1] + 1)
    if not other.num_rows:
        return 0
    times = parquet.times_of(other)
    own = parquet.between(table, times[0], times[-1] + 1)
    names: tuple[str, ...] = parquet.COLUMNS
    if any(each.column(SIX).null_count == other.num_rows for each in (own, other)):
        names = names[:SIX]
    same = own.num_rows == other.num_rows and own.select(names).equals(other.select(names))
    return other.num_rows if same else None


def _are_apart(told: Sequence["pyarrow.Table"]) -> bool:
    """Tell whether no bar is in two of them."""
    times = [parquet.times_of(each) for each in told if each.num_rows]
    ends = sorted((each[0], each[-1]) for each in times)
    return all(end < start for (_, end), (start, _) in pairwise(ends))


def _stretches(told: Mapping[int, Row], length: int) -> list[Interval]:
    """Return the stretches in which REST's rows lie: one at each border, or one over both."""
    found: list[Interval] = []
    for time in sorted(told):
        if found and time - found[-1][1] <= length * APART:
            found[-1] = found[-1][0], time + length
        else:
            found.append((time, time + length))
    return found


def _are_same(row: Row, other: Row) -> bool:
    """Tell whether two rows are of one bar; columns that one of them lacks say nothing."""
    length = SIX if SIX in (len(row), len(other)) else len(row)
    return row[:length] == other[:length]
