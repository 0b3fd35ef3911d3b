"""Coinbase's listing, from the products of `GET /market/products`."""

from typing import Any

from exchanges.listing import ListedSymbol, read_rows

# Any of these set means that nobody can trade the product, so it makes no candles. `limit_only`,
# `post_only` and `auction_mode` do not: a market opens with them, and is quiet for a while.
DISABLED_BY = ("trading_disabled", "is_disabled", "cancel_only", "view_only")


def read_listing(products: list[Any]) -> list[ListedSymbol]:
    """Return the spot products that can be read, tradable or not."""
    return read_rows(products, _listed, "Coinbase")


def _listed(row: Any) -> ListedSymbol | None:
    if row.get("product_type", "SPOT") != "SPOT":
        return None
    base, quote, status = row["base_currency_id"], row["quote_currency_id"], row.get("status")
    is_said = isinstance(status, str)
    is_open = status == "online" and not any(map(row.get, DISABLED_BY))
    return ListedSymbol(
        symbol=f"{base}-{quote}",
        native_symbol=row["product_id"],
        base=base,
        quote=quote,
        is_trading=is_open if is_said else None,
        is_delisted=status == "delisted",
    )
