"""OKX's limits, as a sandbox counts them; the defaults are the real ones."""

from dataclasses import dataclass

from exchanges.sandbox.protocol import option

NAME = "okx"


@dataclass(frozen=True)
class OkxSettings:
    """What a sandbox can be told of this protocol.

    Each endpoint of REST has a limit of its own, counted on the sandbox's clock: twice
    `okx_calls` for the newest candles, half of it for the time. What concerns WebSockets is counted
    in this machine's seconds; `okx_requests_per_hour` are the messages of a connection that
    subscribe or unsubscribe.
    """

    okx_calls: int = option(20, "calls of an endpoint in two seconds")
    okx_connects_per_second: int = 3
    okx_requests_per_hour: int = 480
    okx_message_bytes: int = 65_536
    okx_idle_seconds: float = 30
