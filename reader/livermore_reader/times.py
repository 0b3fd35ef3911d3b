"""Times and timeframes: UTC epoch milliseconds within, text and datetimes at the edge. Pure."""

from datetime import datetime, timezone

from livermore_reader.errors import BadRequest

MINUTE_MS = 60_000
KEPT = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440}
# Made of complete shorter bars: of which, and how many.
DERIVED = {
    "3m": ("1m", 3),
    "30m": ("15m", 2),
    "2h": ("1h", 2),
    "6h": ("1h", 6),
    "8h": ("4h", 2),
    "12h": ("4h", 3),
}
LENGTHS_MS = {name: minutes * MINUTE_MS for name, minutes in KEPT.items()}
LENGTHS_MS |= {name: count * LENGTHS_MS[base] for name, (base, count) in DERIVED.items()}


def length_ms(timeframe: str) -> int:
    """Return how long a bar is. Raises BadRequest."""
    if timeframe not in LENGTHS_MS:
        raise BadRequest(f"{timeframe!r} is no timeframe; there are {' '.join(LENGTHS_MS)}")
    return LENGTHS_MS[timeframe]


def milliseconds(when: "str | int | datetime") -> int:
    """Return a time as UTC epoch milliseconds; text is ISO 8601, UTC where it names no zone.

    Raises BadRequest.
    """
    if isinstance(when, bool) or not isinstance(when, str | int | datetime):
        raise BadRequest(f"{when!r} is no time: ISO 8601 text, a datetime or epoch milliseconds")
    if isinstance(when, int):
        return when
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when.strip().replace("Z", "+00:00"))
        except ValueError:
            raise BadRequest(f"{when!r} is no time, such as 2026-11-28T12:00") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return round(when.timestamp() * 1000)


def utc(time_ms: int) -> str:
    """Return a time as a person reads it."""
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
