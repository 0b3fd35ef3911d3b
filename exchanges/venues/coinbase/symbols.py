"""Coinbase's listing, from the products of `GET /market/products`."""

from typing import Any

from exchanges.errors import BadPayload
from exchanges.listing import ListedSymbol

# Any of these set means that nobody can trade the product normally, so it makes no candles.
DISABLED_BY = ("trading_disabled", "is_disabled", "cancel_only", "view_only")


def read_listing(products: list[Any]) -> list[ListedSymbol]:
    """Return the spot products, tradable or not."""
    try:
        return [
            ListedSymbol(
                symbol=f"{row['base_currency_id']}-{row['quote_currency_id']}",
                native_symbol=row["product_id"],
                base=row["base_currency_id"],
                quote=row["quote_currency_id"],
                is_trading=row["status"] == "online" and not any(map(row.get, DISABLED_BY)),
            )
            for row in products
            if row.get("product_type", "SPOT") == "SPOT"
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadPayload("the listing is not in Coinbase's form", str(products)) from error
