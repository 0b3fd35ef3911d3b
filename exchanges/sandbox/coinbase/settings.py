"""Coinbase's limits, as a sandbox counts them; the defaults are the real ones."""

from dataclasses import dataclass

from exchanges.sandbox.protocol import option

NAME = "coinbase"


@dataclass(frozen=True)
class CoinbaseSettings:
    """What a sandbox can be told of this protocol.

    Limits of REST are counted on the sandbox's own clock, those of WebSockets in this machine's
    seconds. `coinbase_retry_after` None sends no such header, as Coinbase does. Without
    `coinbase_aliases` a stream under another name is answered for under that name.
    """

    coinbase_rate: int = option(10, "public calls in a second")
    coinbase_private_rate: int = 30
    coinbase_retry_after: int | None = None
    coinbase_connects_per_second: int = 8
    coinbase_messages_per_second: int = 8
    coinbase_subscribe_seconds: float = 5
    coinbase_idle_seconds: float = 75
    coinbase_aliases: bool = True
