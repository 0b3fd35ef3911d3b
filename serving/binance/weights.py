"""What may be passed on to an exchange of this protocol, and how it weighs (rest-api.md, 2026)."""

import json
from collections.abc import Callable

from multidict import MultiMapping

Query = MultiMapping[str]
DEPTHS = ((100, 5), (500, 25), (1000, 50), (1_000_000, 250))  # rows at the most, weight


def _of_symbols(one: int, few: int, some: int, all_of_them: int) -> Callable[[Query], int]:
    """Return what weighs by the number of symbols: one, up to 20, up to 100, more or none named."""

    def weight(query: Query) -> int:
        if "symbol" in query:
            return one
        count = _count(query.get("symbols"))
        if not count or count > 100:
            return all_of_them
        return few if count <= 20 else some

    return weight


def _by_symbol(each: int, most: int, of_all: int) -> Callable[[Query], int]:
    """Return what weighs the more, the more symbols are named."""

    def weight(query: Query) -> int:
        if "symbol" in query:
            return each
        return min(each * _count(query.get("symbols")), most) or of_all

    return weight


def _count(symbols: str | None) -> int:
    try:
        found = json.loads(symbols or "[]")
    except ValueError:
        return 0
    return len(found) if isinstance(found, list) else 0


def _depth(query: Query) -> int:
    limit = query.get("limit", "100")
    rows = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 6 else 5000
    return next(weight for most, weight in DEPTHS if rows <= most)


WEIGHTS: dict[str, Callable[[Query], int]] = {
    "exchangeInfo": lambda query: 20,
    "executionRules": _by_symbol(2, 40, 40),
    "klines": lambda query: 2,
    "uiKlines": lambda query: 2,
    "depth": _depth,
    "trades": lambda query: 25,
    "historicalTrades": lambda query: 25,
    "historicalBlockTrades": lambda query: 25,
    "aggTrades": lambda query: 4,
    "avgPrice": lambda query: 2,
    "referencePrice": lambda query: 2,
    "referencePrice/calculation": lambda query: 2,
    "ticker": _by_symbol(4, 200, 200),
    "ticker/24hr": _of_symbols(2, 2, 40, 80),
    "ticker/tradingDay": _by_symbol(4, 200, 200),
    "ticker/price": _of_symbols(2, 4, 4, 4),
    "ticker/bookTicker": _of_symbols(2, 4, 4, 4),
}
