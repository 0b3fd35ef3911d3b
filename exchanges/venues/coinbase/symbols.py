"""Coinbase's listing, from the products of `GET /market/products`."""

from collections.abc import Mapping
from typing import Any

from exchanges.symbols.listed import NAME_KEPT, ListedSymbol, canonical, read_rows

# Any of these set means that nobody can trade the product, so it makes no candles. `limit_only`,
# `post_only` and `auction_mode` do not: a market opens with them, and is quiet for a while.
DISABLED_BY = ("trading_disabled", "is_disabled", "cancel_only", "view_only")
FIELDS = (
    *("product_id", "product_type", "base_currency_id", "quote_currency_id"),
    *("status", "alias", "alias_to", *DISABLED_BY),
)
MOST_ALIASES = 100


def without_rest(row: Any) -> Any:
    """Return of a row what `read_listing` needs, so that not all of every page is kept."""
    if not isinstance(row, dict):
        return kept(row)
    return {name: kept(row[name]) for name in FIELDS if name in row}


def kept(value: Any) -> Any:
    """Return a value of a row, or its beginning where it is longer than any of an exchange's."""
    match value:
        case str():
            return value[:NAME_KEPT]
        case list():
            return [each[:NAME_KEPT] for each in value[:MOST_ALIASES] if isinstance(each, str)]
        case dict():
            return {}
    return value


def read_listing(products: list[Any]) -> list[ListedSymbol]:
    """Return the spot products that can be read, tradable or not."""
    others = {other: row["product_id"] for row in products for other in _shown_by(row)}
    return read_rows(products, lambda row: _listed(row, others), "Coinbase", "product_id")


def _listed(row: Any, others: Mapping[str, str]) -> ListedSymbol | None:
    """Return what a row lists; `others` says which product shows whose market, by their rows."""
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
    """Return the products that show this one's market."""
    others = row.get("alias_to") if isinstance(row, dict) and row.get("product_id") else None
    return [name for name in others if isinstance(name, str)] if isinstance(others, list) else []


def _alias(row: Mapping[str, Any], others: Mapping[str, str]) -> str:
    """Return the product whose market this one shows, by what either of both says; "" for none."""
    product = row["product_id"]
    alias = row.get("alias") or others.get(product)
    return alias if isinstance(alias, str) and alias != product else ""
