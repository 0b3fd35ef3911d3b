"""Bybit's limits, as a sandbox counts them; the real ones by default, where those are known."""

from dataclasses import dataclass

from exchanges.sandbox.protocol import option

NAME = "bybit"


@dataclass(frozen=True)
class BybitSettings:
    """What a sandbox can be told of this protocol.

    Calls are counted on the sandbox's own clock: more than `bybit_calls` within five seconds, and
    the address is banned for `bybit_ban_ms`. What concerns WebSockets is counted in this machine's
    seconds. Nobody knows whether REST has rows of bars without a trade (`bybit_fills`), and streams
    frames of them (`bybit_streams_quiet`).
    """

    bybit_calls: int = 600
    bybit_ban_ms: int = 600_000
    bybit_fills: int = option(1, "0: REST has no rows of bars without a trade")
    bybit_streams_quiet: int = option(1, "0: streams have no frames of bars without a trade")
    bybit_connects_per_5_minutes: int = 500
    bybit_spot_args: int = 10  # topics that a message on a spot connection may name
    bybit_characters: int = 21_000  # of all topics of a connection
    bybit_silence_seconds: float = 600  # without a ping of the client's own
