"""Change notifications: something that a page shows of an exchange changed. They may get lost."""

from typing import Literal

import orjson

from livermore.market import keys

What = Literal["status", "stats", "schedule", "action", "accounts", "trouble", "commands"]


def changed(exchange_id: int, what: What) -> tuple[str, bytes]:
    """Return the channel and the message of the notification, as PUBLISH takes them."""
    message = orjson.dumps({"exchangeId": exchange_id, "what": what})
    return keys.exchange_changed(exchange_id), message


def parse_change(message: bytes) -> tuple[int, str] | None:
    """Return the exchange's id and what changed, None where it is none of our messages."""
    try:
        found = orjson.loads(message)
        number, what = found["exchangeId"], found["what"]
    except (ValueError, LookupError, TypeError):
        return None
    return (number, what) if isinstance(number, int) and isinstance(what, str) else None
