"""The toy's listing: rows of `{"name": "btc_usdt", "swap": true, "open": true, "value": "12.5"}`.

A name may stand for two markets, one of which is a swap, as the toy calls a perpetual; its first
half is as the toy writes the coin, in capitals but for a k before them, which stands for thousands.
"""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.symbols.listed import PERPETUAL, SPOT, ListedSymbol, canonical, read_rows

SWAP = "swap:"  # what stands before the name of a market that is one


def market_name(native_symbol: str, kind: str) -> str:
    """Return the name by which the toy is asked for a market."""
    return SWAP + native_symbol if kind == PERPETUAL else native_symbol


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return every market that can be read."""
    markets = body.get("markets") if isinstance(body, dict) else None
    if not isinstance(markets, list):
        raise BadPayload(f"the listing is not in the toy's form: {shape_of(body)}")
    return read_rows(markets, _listed, "Toy", "name")


def _listed(row: Any) -> ListedSymbol:
    base, quote = row["name"].split("_")
    kind = PERPETUAL if row["swap"] else SPOT
    symbol = canonical(base, quote, kind)
    return ListedSymbol(symbol, row["name"], base, quote, row["open"], kind=kind)
