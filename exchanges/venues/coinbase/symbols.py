"""Coinbase's listing, from the products of `GET /market/products`."""

from collections.abc import Mapping
from typing import Any

from exchanges.listing import ListedSymbol, canonical, read_rows

# Any of these set means that nobody can trade the product, so it makes no candles. `limit_only`,
# `post_only` and `auction_mode` do not: a market opens with them, and is quiet for a while.
DISABLED_BY = ("trading_disabled", "is_disabled", "cancel_only", "view_only")


def read_listing(products: list[Any]) -> list[ListedSymbol]:
    """Return the spot products that can be read, tradable or not."""
    others = {other: row["product_id"] for row in products for other in _shown_by(row)}
    return read_rows(products, lambda row: _listed(row, others), "Coinbase", "product_id")


def _listed(row: Any, others: Mapping[str, str]) -> ListedSymbol | None:
    """Return what a row lists; `others` says which product shows whose book, by their rows."""
    if row.get("product_type", "SPOT") != "SPOT":
        return None
    base, quote, status = row["base_currency_id"], row["quote_currency_id"], row.get("status")
    disabled = [row.get(name, False) for name in DISABLED_BY]
    is_said = isinstance(status, str) and all(isinstance(each, bool) for each in disabled)
    is_open = status == "online" and not any(disabled)
    return ListedSymbol(
        symbol=canonical(base, quote),
        native_symbol=row["product_id"],
        base=base,
        quote=quote,
        is_trading=is_open if is_said else None,
        is_delisted=status == "delisted",
        alias=_alias(row, others),
    )


def _shown_by(row: Any) -> list[str]:
    """Return the products that show this one's book."""
    others = row.get("alias_to") if isinstance(row, dict) and row.get("product_id") else None
    return [name for name in others if isinstance(name, str)] if isinstance(others, list) else []


def _alias(row: Mapping[str, Any], others: Mapping[str, str]) -> str:
    """Return the product whose book this one shows, by what either of both says; "" for none."""
    product = row["product_id"]
    alias = row.get("alias") or others.get(product)
    return alias if isinstance(alias, str) and alias != product else ""
