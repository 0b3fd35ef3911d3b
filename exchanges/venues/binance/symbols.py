"""Binance's listing, from the reply of `GET /api/v3/exchangeInfo`."""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.symbols.listed import ListedSymbol, canonical, read_rows


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return every symbol of the reply that can be read."""
    rows = body.get("symbols") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise BadPayload(f"the listing is not in Binance's form: {shape_of(body)}")
    return read_rows(rows, _listed, "Binance", "symbol")


def _listed(row: Any) -> ListedSymbol:
    base, quote = row["baseAsset"], row["quoteAsset"]
    return ListedSymbol(canonical(base, quote), row["symbol"], base, quote, _is_trading(row))


def _is_trading(row: Any) -> bool | None:
    """Tell whether it makes candles: END_OF_DAY, HALT, BREAK, CANCEL_ONLY and what is new don't."""
    status = row.get("status")
    is_allowed = row.get("isSpotTradingAllowed", True)
    if not isinstance(status, str) or not isinstance(is_allowed, bool):
        return None
    return status == "TRADING" and is_allowed
