"""Binance's listing and the limits it publishes, from the reply of `GET /api/v3/exchangeInfo`."""

from typing import Any

from exchanges.errors import BadPayload
from exchanges.listing import ListedSymbol, read_rows
from exchanges.pacing import Limits

# (rateLimitType, interval, intervalNum) of the two limits that count for reading candles.
WEIGHT = ("REQUEST_WEIGHT", "MINUTE", 1)
REQUESTS = ("RAW_REQUESTS", "MINUTE", 5)


def read_listing(body: Any) -> list[ListedSymbol]:
    """Return every symbol of the reply that can be read."""
    rows = body.get("symbols") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise BadPayload("the listing is not in Binance's form", str(body))
    return read_rows(rows, _listed, "Binance")


def _listed(row: Any) -> ListedSymbol:
    base, quote = row["baseAsset"], row["quoteAsset"]
    return ListedSymbol(f"{base}-{quote}", row["symbol"], base, quote, _is_trading(row))


def _is_trading(row: Any) -> bool | None:
    """Tell whether it makes candles: END_OF_DAY, HALT, BREAK, CANCEL_ONLY and what is new don't."""
    status = row.get("status")
    if not isinstance(status, str):
        return None
    return status == "TRADING" and bool(row.get("isSpotTradingAllowed", True))


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
