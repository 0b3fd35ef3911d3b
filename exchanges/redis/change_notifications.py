"""Change notifications: something that a page shows of an exchange changed. They may get lost."""

from typing import Literal

import orjson

from livermore.market import keys

What = Literal["status", "stats", "schedule", "action", "accounts", "trouble", "commands", "row"]
ROWS = 0  # no exchange has this number: on its channel all are told which exchanges there are


def changed(exchange_id: int, what: What) -> tuple[str, bytes]:
    """Return the channel and the message of the notification, as PUBLISH takes them."""
    return keys.exchange_changed(exchange_id), _message(exchange_id, what)


def row_changed(exchange_id: int) -> tuple[str, bytes]:
    """Return the notification that rows of an exchange were added, changed or deleted.

    It goes to who knows nothing of that exchange yet.
    """
    return keys.exchange_changed(ROWS), _message(exchange_id, "row")


def parse_change(message: bytes) -> tuple[int, str] | None:
    """Return the exchange's id and what changed, None where it is none of our messages."""
    try:
        found = orjson.loads(message)
        number, what = found["exchangeId"], found["what"]
    except (ValueError, LookupError, TypeError):
        return None
    return (number, what) if isinstance(number, int) and isinstance(what, str) else None


def _message(exchange_id: int, what: What) -> bytes:
    return orjson.dumps({"exchangeId": exchange_id, "what": what})
