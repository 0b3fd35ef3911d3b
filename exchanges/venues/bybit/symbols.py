"""Bybit's listing: the rows of `instruments-info` of both categories, and their names."""

from typing import Any

from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol, canonical, read_rows

CATEGORIES = {SPOT: "spot", PERPETUAL: "linear"}  # by kind
KINDS = {category: kind for kind, category in CATEGORIES.items()}
PERPETUAL_CONTRACT = "LinearPerpetual"  # all others are dated, or inverse
# What is no coin: shares, metals and currencies, which trade at their own hours.
OTHER_THAN_COINS = {"xstocks", "stock", "commodity", "forex"}
PRE_LAUNCH = "PreLaunch"


def market_name(native_symbol: str, kind: str) -> str:
    """Return a market's name with its category, as one name may stand for a market of each."""
    return f"{CATEGORIES[kind]} {native_symbol}"


def read_listing(rows: list[Any]) -> list[ListedSymbol]:
    """Return every market of coins that can be read, of the rows of all categories together."""
    return read_rows(rows, _listed, "Bybit", "symbol")


def _listed(row: Any) -> ListedSymbol | None:
    """Return what a row lists, None for a market of another kind."""
    contract, status = row.get("contractType"), row.get("status")
    is_early = row.get("isPreListing") is True or status == PRE_LAUNCH
    if contract not in (None, PERPETUAL_CONTRACT) or is_early:
        return None
    if row.get("symbolType") in OTHER_THAN_COINS:
        return None
    base, quote = row["baseCoin"], row["quoteCoin"]
    kind = SPOT if contract is None else PERPETUAL
    return ListedSymbol(
        canonical(base, quote, kind),
        row["symbol"],
        base,
        quote,
        status == "Trading" if isinstance(status, str) else None,
        kind=kind,
    )
