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


def sum_columns(parts: Sequence[Columns | None]) -> Columns | None:
    """Return those of a bar that is made of `parts`; None where one of them has none."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    quotes, trades, taken, paid = zip(*known, strict=True)
    return _sum(quotes), sum(trades), _sum(taken), _sum(paid)


def _sum(numbers: Sequence[float]) -> float:
    return float(sum(Decimal(repr(each)) for each in numbers))  # 0.1 + 0.2 is 0.3


def _check_numbers(*stored: Any) -> None:
    if not {type(each) for each in stored} <= {int, float}:
        raise TypeError("no number")
