"""Kraken's limits, as a sandbox counts them."""

from dataclasses import dataclass

from exchanges.sandbox.protocol import option

NAME = "kraken"


@dataclass(frozen=True)
class KrakenSettings:
    """What a sandbox can be told of this protocol.

    Limits of REST are counted on the sandbox's own clock, those of WebSockets in this machine's
    seconds. More calls a second than `kraken_calls` are answered with an empty body, which is what
    callers saw. How many messages and connects it lets pass nobody knows.
    """

    kraken_calls: int = option(10, "public calls in a second, after which bodies are empty")
    kraken_messages_per_second: int = 50
    kraken_connects_per_10_minutes: int = 150
    kraken_idle_seconds: float = 60
