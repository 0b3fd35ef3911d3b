"""Times and timeframes: UTC epoch milliseconds within, text and datetimes at the edge. Pure."""

from datetime import date, datetime, time, timezone
from operator import index

from livermore_reader.errors import BadRequest

MINUTE_MS = 60_000
EARLIEST_MS = 946_684_800_000  # 2000-01-01: there were no candles before
LATEST_MS = 4_102_444_800_000  # 2100-01-01
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
    if not isinstance(timeframe, str) or timeframe not in LENGTHS_MS:
        raise BadRequest(f"{timeframe!r} is no timeframe; there are {' '.join(LENGTHS_MS)}")
    return LENGTHS_MS[timeframe]


def milliseconds(when: "str | int | date") -> int:
    """Return a time of this century as UTC epoch milliseconds; 0 is when it began.

    Text is ISO 8601, and a day is when it begins; in UTC where no zone is named. Raises BadRequest.
    """
    found = _number(when) if not isinstance(when, str | date) else _moment_ms(when)
    if found == 0:
        return EARLIEST_MS
    if not EARLIEST_MS <= found < LATEST_MS:
        raise BadRequest(f"{str(when)[:40]} is no time of this century, or not in milliseconds")
    return found


def _number(when: object) -> int:
    try:
        if isinstance(when, bool):
            raise TypeError
        return index(when)  # type: ignore[arg-type]  # numpy has integers of its own
    except TypeError:
        raise BadRequest(
            f"{when!r} is no time: ISO 8601 text, a datetime or epoch milliseconds"
        ) from None


def _moment_ms(when: "str | date") -> int:
    try:
        if isinstance(when, str):
            when = datetime.fromisoformat(when.strip().replace("Z", "+00:00"))
        elif not isinstance(when, datetime):
            when = datetime.combine(when, time())
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        return round(when.timestamp() * 1000)
    except (ValueError, OverflowError):  # pandas' NaT is a datetime, too
        raise BadRequest(f"{str(when)!r} is no time, such as 2026-11-28T12:00") from None


def utc(time_ms: int) -> str:
    """Return a time as a person reads it."""
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
