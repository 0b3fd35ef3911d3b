"""What some exchanges tell of a bar beside its prices and its volume: four columns, or none."""

from collections.abc import Sequence
from decimal import Decimal
from math import inf
from typing import Any

# As a row has them behind its volume, by the names that a message gives them: what was traded in
# the quote currency, in how many trades, and how much of the volume and of that takers bought.
COLUMNS = ("quoteVolume", "trades", "takerBase", "takerQuote")

MOST_TRADES = 2**53

Columns = tuple[float, int, float, float]
ExactColumns = tuple[Decimal, int, Decimal, Decimal]


def read_columns(told: Sequence[Any]) -> Columns | None:
    """Return four columns, as exchanges write them or as they are stored, as numbers.

    None where one of them isn't known, or is no number.
    """
    try:
        quote, trades, taken, paid = told
        if not (type(quote) is type(taken) is type(paid) is str):
            _check_numbers(quote, taken, paid)
        elif "_" in quote or "_" in taken or "_" in paid:  # which Python would read
            return None
        return known_columns(float(quote), trades, float(taken), float(paid))
    except (ValueError, TypeError, OverflowError):
        return None


def known_columns(quote: float, trades: Any, taken: float, paid: float) -> Columns | None:
    """Return the same of numbers; `trades` may be anything."""
    # Chained comparisons are false for NaN, so they refuse it too.
    is_sound = 0 <= quote < inf and 0 <= taken < inf and 0 <= paid < inf
    if is_sound and type(trades) is int and 0 <= trades <= MOST_TRADES:
        return quote, trades, taken, paid
    return None


class ColumnSums:
    """The columns of a bar that is made of parts, exactly: 0.1 and 0.2 are 0.3."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: ExactColumns | None = (Decimal(0), 0, Decimal(0), Decimal(0))

    def add(self, part: Columns | None) -> None:
        self._sums = self._with(part)

    def with_last(self, part: Columns | None) -> Columns | None:
        """Return those of the bar with one part more; None where one of them has none."""
        if (sums := self._with(part)) is None:
            return None
        quote, trades, taken, paid = sums
        return float(quote), trades, float(taken), float(paid)

    def _with(self, part: Columns | None) -> ExactColumns | None:
        if part is None or self._sums is None:
            return None
        quote, trades, taken, paid = self._sums
        more, count, took, gave = part
        return quote + exact(more), trades + count, taken + exact(took), paid + exact(gave)


def sum_columns(parts: Sequence[Columns | None]) -> Columns | None:
    """Return those of a bar that is made of `parts`; None where one of them has none."""
    if not parts:
        return None
    sums = ColumnSums()
    for part in parts[:-1]:
        sums.add(part)
    return sums.with_last(parts[-1])


def exact(number: float) -> Decimal:
    """Return a number as it is written, so that sums are exact."""
    return Decimal(repr(number))


def _check_numbers(*stored: Any) -> None:
    if not {type(each) for each in stored} <= {int, float}:
        raise TypeError("no number")
