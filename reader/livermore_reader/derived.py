"""Bars of timeframes that aren't kept, made of complete shorter ones. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from livermore_reader.candles import Row
from livermore_reader.stretches import Stretches, union
from livermore_reader.times import length_ms


def join(rows: Sequence[Row], opened_ms: int) -> Row:
    """Return the bar that rows of ten columns, ascending and not empty, make up together."""
    columns = list(zip(*rows, strict=True))
    more: Row = [None] * 4
    if all(None not in column for column in columns[6:]):
        quote, trades, taken, paid = columns[6:]
        more = [_sum(quote), sum(trades), _sum(taken), _sum(paid)]
    return [
        opened_ms,
        rows[0][1],
        max(columns[2]),
        min(columns[3]),
        rows[-1][4],
        _sum(columns[5]),
        *more,
    ]


def derive(rows: Sequence[Row], known: Stretches, timeframe: str) -> tuple[list[Row], Stretches]:
    """Return the complete bars of a longer timeframe, and when all of them are known."""
    step = length_ms(timeframe)
    whole = union((-(-start // step) * step, end - end % step) for start, end in known)
    made = []
    for opened_ms, parts in groupby(rows, key=lambda row: row[0] - row[0] % step):
        if any(start <= opened_ms < end for start, end in whole):
            made.append(join(list(parts), opened_ms))
    return made, whole


def _sum(values: Sequence[Any]) -> Any:
    """Return a sum without the noise of binary fractions: 0.1 and 0.2 make 0.3."""
    return float(sum(Decimal(repr(each)) for each in values))
