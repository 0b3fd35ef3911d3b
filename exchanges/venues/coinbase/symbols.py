"""Coinbase's listing, from the products of `GET /market/products`."""

from collections.abc import Mapping
from typing import Any

from exchanges.errors import BadPayload
from exchanges.listing import ListedSymbol

# Any of these set means that nobody can trade the product normally, so it makes no candles.
DISABLED_BY = ("trading_disabled", "is_disabled", "cancel_only", "view_only")


def read_listing(products: list[Any]) -> list[ListedSymbol]:
    """Return the spot products, tradable or not."""
    try:
        others = {other: row["product_id"] for row in products for other in _shown_by(row)}
        return [
            ListedSymbol(
                symbol=f"{row['base_currency_id']}-{row['quote_currency_id']}",
                native_symbol=row["product_id"],
                base=row["base_currency_id"],
                quote=row["quote_currency_id"],
                is_trading=row["status"] == "online" and not any(map(row.get, DISABLED_BY)),
                alias=_alias(row, others),
            )
            for row in products
            if row.get("product_type", "SPOT") == "SPOT"
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadPayload("the listing is not in Coinbase's form", str(products)) from error


def _shown_by(row: Mapping[str, Any]) -> list[str]:
    """Return the products that show this one's book."""
    others = row.get("alias_to")
    return [name for name in others if isinstance(name, str)] if isinstance(others, list) else []


def _alias(row: Mapping[str, Any], others: Mapping[str, str]) -> str:
    """Return the product whose book this one shows, by what either of both says; "" for none."""
    product = row["product_id"]
    alias = row.get("alias") or others.get(product)
    return alias if isinstance(alias, str) and alias != product else ""
