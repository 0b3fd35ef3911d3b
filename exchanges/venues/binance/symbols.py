"""Binance's listing and the limits it publishes, from the reply of `GET /api/v3/exchangeInfo`."""

from typing import Any

from exchanges.errors import BadPayload, shape_of
from exchanges.rest.pacing.budget import Limits
from exchanges.symbols.listed import ListedSymbol, canonical, read_rows

# (rateLimitType, interval, intervalNum) of the two limits that count for reading candles.
WEIGHT = ("REQUEST_WEIGHT", "MINUTE", 1)
REQUESTS = ("RAW_REQUESTS", "MINUTE", 5)
LISTING_WEIGHT = 20  # what the reply itself weighs: no limit is lower
HIGHEST_LIMIT = 10**7  # thirty times the highest that was ever published


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


def read_limits(body: Any) -> Limits | None:
    """Return the published limits of one address, None where the reply has none that make sense."""
    rows = body.get("rateLimits") if isinstance(body, dict) else None
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    weights, requests = (_limits_of(kind, rows) for kind in (WEIGHT, REQUESTS))
    if not weights or not all(map(_is_sensible, weights + requests)):
        return None
    # Where requests are not limited apart, none weighs less than 1: weight bounds them too.
    return Limits(min(weights), min(requests, default=5 * min(weights)))


def _limits_of(kind: tuple, rows: list[dict]) -> list:
    names = ("rateLimitType", "interval", "intervalNum")
    return [row.get("limit") for row in rows if tuple(map(row.get, names)) == kind]


def _is_sensible(limit: Any) -> bool:
    return type(limit) is int and LISTING_WEIGHT <= limit <= HIGHEST_LIMIT
