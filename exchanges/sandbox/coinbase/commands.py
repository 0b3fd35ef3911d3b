"""What Coinbase's clients ask for on a WebSocket, and how it answers."""

from typing import NamedTuple

import orjson

from exchanges.sandbox.coinbase.schedule import EVERY, HEARTBEATS


class BadCommand(Exception):
    """A message that can't be done; `reply` is what the client gets."""

    def __init__(self, message: str):
        super().__init__(message)
        self.reply = error(message)


class Command(NamedTuple):
    """One message: whether it subscribes or ends a subscription, and to what."""

    subscribes: bool
    channel: str
    products: list[str]


def read_command(text: bytes) -> Command:
    """Return what a message asks for. Raises BadCommand."""
    try:
        sent = orjson.loads(text)
        kind, channel = sent["type"], sent["channel"]
        products = sent.get("product_ids") or []
        known = kind in ("subscribe", "unsubscribe") and isinstance(products, list)
        if not known or not all(isinstance(product, str) for product in products):
            raise ValueError(kind)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadCommand("failure to parse message") from None
    if channel not in (*EVERY, HEARTBEATS):
        raise BadCommand("authentication failure")
    return Command(kind == "subscribe", channel, products)


def error(message: str) -> bytes:
    return orjson.dumps({"type": "error", "message": message})


def subscriptions(streams: dict[str, list[str]]) -> bytes:
    """Write the event that answers a message: all that a connection has, by channel."""
    return orjson.dumps({"subscriptions": streams})
