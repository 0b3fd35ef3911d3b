"""What is said where a call is refused: for how long, and whether a whole country is."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from exchanges.errors import (
    one_line,
)

EPOCH = datetime.fromtimestamp(0, UTC)
LONGEST_ASKED_SECONDS = 7 * 86_400.0  # believed of a pause or a ban: the longest is of three days

# How those say it who refuse a whole country: exchanges, and content networks in front of them.
COUNTRY = re.compile(
    r"restricted (location|country|region|area)|\beligibility\b|\bgeo-?(block|restrict|fenc)"
    r"|\b(from|in|for|of) your (current )?(location|country|region|jurisdiction|area)\b"
    r"|country or region your ip",
    re.IGNORECASE,
)


def names_country(content: bytes) -> bool:
    """Tell whether a refusal is one of a country, which waiting doesn't end."""
    return COUNTRY.search(one_line(content.decode("utf-8", "replace"))) is not None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, written as such or as a date."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return min(float(text), LONGEST_ASKED_SECONDS)
    until = _moment(text)
    if until is None:
        return None
    return min(max(0.0, until - _now(headers)), LONGEST_ASKED_SECONDS)


def ban_seconds(body: Any, headers: Mapping[str, str]) -> float:
    """Return how long a ban lasts by a message such as "IP banned until 1700000000000", else 0."""
    message = str(body.get("msg", "")) if isinstance(body, dict) else ""
    stamps = re.findall(r"\b[0-9]{13}\b", message)
    seconds = max([0.0, *(int(stamp) / 1000 - _now(headers) for stamp in stamps)])
    return min(seconds, LONGEST_ASKED_SECONDS)


def _now(headers: Mapping[str, str]) -> float:
    """Return the time by the clock of who sent the reply: ours may be off, and is the last resort.

    In seconds since the epoch.
    """
    told = _moment(headers.get("Date", ""))
    return time.time() if told is None else told


def _moment(date: str) -> float | None:
    """Return a header's date in seconds since the epoch, None where it is none."""
    try:
        found = parsedate_to_datetime(date)
        return (found - EPOCH).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
