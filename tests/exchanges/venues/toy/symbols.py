"""The toy's listing: `{"markets": {"btc_usd": {"open": true, "value": "12.5"}}}`."""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.symbols.listed import ListedSymbol, canonical, read_rows


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return every market that can be read."""
    markets = body.get("markets") if isinstance(body, dict) else None
    if not isinstance(markets, dict):
        raise BadPayload(f"the listing is not in the toy's form: {shape_of(body)}")
    rows = [{"name": name, "market": market} for name, market in markets.items()]
    return read_rows(rows, _listed, "Toy", "name")


def _listed(row: Any) -> ListedSymbol:
    base, quote = row["name"].upper().split("_")
    return ListedSymbol(canonical(base, quote), row["name"], base, quote, row["market"]["open"])
