"""Binance's listing and the limits it publishes, from the reply of `GET /api/v3/exchangeInfo`."""

from typing import Any

from exchanges.errors import BadPayload
from exchanges.listing import ListedSymbol
from exchanges.pacing import Limits

# (rateLimitType, interval, intervalNum) of the two limits that count for reading candles.
WEIGHT = ("REQUEST_WEIGHT", "MINUTE", 1)
REQUESTS = ("RAW_REQUESTS", "MINUTE", 5)


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return every symbol of the reply; one with a status we don't know counts as not trading."""
    try:
        return [
            ListedSymbol(
                symbol=f"{row['baseAsset']}-{row['quoteAsset']}",
                native_symbol=row["symbol"],
                base=row["baseAsset"],
                quote=row["quoteAsset"],
                is_trading=row["status"] == "TRADING"
                and bool(row.get("isSpotTradingAllowed", True)),
            )
            for row in body["symbols"]
        ]
    except (KeyError, TypeError) as error:
        raise BadPayload("the listing is not in Binance's form", str(body)) from error


def read_limits(body: Any) -> Limits | None:
    """Return the published limits of one address, None where the reply has none of weight."""
    try:
        found = {
            (row["rateLimitType"], row["interval"], row["intervalNum"]): int(row["limit"])
            for row in body["rateLimits"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload("the limits are not in Binance's form", str(body)) from error
    if found.get(WEIGHT, 0) < 1:
        return None
    # Where requests are not limited apart, none weighs less than 1: weight bounds them too.
    return Limits(found[WEIGHT], found.get(REQUESTS) or 5 * found[WEIGHT])
