"""What Bybit's clients ask for on a WebSocket, and how it answers."""

from typing import Any, NamedTuple

import orjson

SUBSCRIBE, UNSUBSCRIBE, PING = "subscribe", "unsubscribe", "ping"


class BadCommand(Exception):
    """A message of which nothing is done; its text is what the client is told."""


class Command(NamedTuple):
    """One message: what it asks for, with the client's own name for it, and the topics."""

    operation: str
    request: str
    topics: list[str]


def read_command(text: bytes) -> Command:
    """Return what a message asks for. Raises BadCommand."""
    try:
        sent = orjson.loads(text)
        operation, topics = sent["op"], sent.get("args", [])
        request = str(sent.get("req_id", ""))
        is_known = operation in (SUBSCRIBE, UNSUBSCRIBE, PING)
        if not is_known or not all(isinstance(each, str) for each in topics):
            raise ValueError(operation)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadCommand("error:invalid request, please check") from None
    return Command(operation, request, list(topics))


def answer(success: bool, message: str, connection: str, request: str, operation: str) -> bytes:
    told: dict[str, Any] = {"success": success, "ret_msg": message, "conn_id": connection}
    return orjson.dumps(told | {"req_id": request, "op": operation})
