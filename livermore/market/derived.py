"""Timeframes that are not kept, made from complete bars of a shorter one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from livermore.market.columns import exact, read_columns, sum_columns
from livermore.market.coverage import Coverage, union
from livermore.market.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Derived:
    """A timeframe that opens on multiples of its length, as those do that are kept."""

    text: str
    ms: int
    base: Timeframe

    def floor(self, time_ms: int) -> int:
        return time_ms - time_ms % self.ms

    def ceil(self, time_ms: int) -> int:
        return -(-time_ms // self.ms) * self.ms

    def __str__(self) -> str:
        return self.text


AnyTimeframe = Timeframe | Derived


def _of(text: str, base: Timeframe, count: int) -> tuple[str, Derived]:
    return text, Derived(text, count * base.ms, base)


DERIVED = dict(
    (
        _of("3m", Timeframe.M1, 3),
        _of("30m", Timeframe.M15, 2),
        _of("2h", Timeframe.H1, 2),
        _of("6h", Timeframe.H1, 6),
        _of("8h", Timeframe.H4, 2),
        _of("12h", Timeframe.H4, 3),
    )
)
BY_TEXT: dict[str, AnyTimeframe] = {str(each): each for each in Timeframe} | DERIVED


def base_of(timeframe: AnyTimeframe) -> Timeframe:
    """Return the timeframe whose candles are kept."""
    return timeframe if isinstance(timeframe, Timeframe) else timeframe.base


def join(rows: Sequence[Sequence[Any]], opened: int) -> list[Any]:
    """Return the bar that rows, ascending and not empty, make up together.

    It has columns behind its six numbers where all of them have.
    """
    columns = sum_columns([read_columns(row[6:]) for row in rows]) if len(rows[0]) > 6 else None
    return [
        opened,
        rows[0][1],
        max(row[2] for row in rows),
        min(row[3] for row in rows),
        rows[-1][4],
        float(sum(exact(row[5]) for row in rows)),
        *(columns or ()),
    ]


def derive(
    rows: Sequence[Sequence[Any]], coverage: Coverage, timeframe: AnyTimeframe
) -> tuple[list[list[Any]], Coverage]:
    """Return the complete bars of a longer timeframe, ascending, and when all of them are known."""
    whole = union((timeframe.ceil(start), timeframe.floor(end)) for start, end in coverage)
    made = []
    for opened, parts in groupby(rows, key=lambda row: timeframe.floor(row[0])):
        if any(start <= opened < end for start, end in whole):
            made.append(join(list(parts), opened))
    return made, whole
