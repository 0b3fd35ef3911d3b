"""What Coinbase writes as text: times and sizes."""

from datetime import datetime
from decimal import Decimal

from exchanges.errors import shape_of, told
from exchanges.rest.reply import LONGEST_NUMBER

# What is raised by something that is not in the form that was looked for.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
LARGEST_SIZE = 10**18


def decimal(text: str) -> Decimal:
    """Return a size as the exchange wrote it; ValueError where it is none."""
    is_short = type(text) is str and len(text) <= LONGEST_NUMBER
    size = Decimal(text) if is_short else Decimal("NaN")
    if not (size.is_finite() and 0 < size < LARGEST_SIZE):
        raise ValueError(f"not a size: {told(text)}")
    return size


def read_time_ms(text: str) -> int:
    """Return RFC 3339 with up to nanoseconds, in ms; `fromisoformat` reads no more than six."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"not a time, but {shape_of(text)}")
    seconds_text, dot, rest = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(f"{seconds_text}+00:00").timestamp()
    return round(seconds * 1000) + (int(rest[:3].ljust(3, "0")) if dot else 0)
