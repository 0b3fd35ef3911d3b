"""The limits that an exchange of this protocol publishes, in the answer of its listing."""

from typing import Any

from exchanges.rest.pacing.budget import Limits

# (rateLimitType, interval, intervalNum) of the two limits that count for reading candles.
WEIGHT = ("REQUEST_WEIGHT", "MINUTE", 1)
REQUESTS = ("RAW_REQUESTS", "MINUTE", 5)
LOWEST_LIMIT = 20  # what the heaviest of these answers weighs: no limit is lower
HIGHEST_LIMIT = 10**7  # thirty times the highest that was ever published


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
    return type(limit) is int and LOWEST_LIMIT <= limit <= HIGHEST_LIMIT
