"""Binance's limits, as a sandbox counts them; the defaults are the real ones."""

from dataclasses import dataclass

from exchanges.sandbox.protocol import option

NAME = "binance"


@dataclass(frozen=True)
class BinanceSettings:
    """What a sandbox can be told of this protocol.

    Limits and bans of REST are counted on the sandbox's own clock. `strikes` is how many calls are
    answered 429 before the ban; each ban is twice the one before, up to `longest_ban_ms`. What
    concerns WebSockets (`ws_…`) is counted in this machine's seconds.
    """

    weight_limit: int = option(6000, "request weight in a minute")
    raw_limit: int = 300_000
    strikes: int = option(5, "429s before a ban")
    ban_ms: int = option(120_000, "the first ban")
    longest_ban_ms: int = 259_200_000
    ws_messages_per_second: int = 5
    ws_message_bytes: int = 4088
    ws_connects_per_5_minutes: int = 300
    ws_streams: int = 1024
    ws_ping_seconds: float = 20
    ws_pong_seconds: float = 60
    ws_lifetime_seconds: float = 86_400
    ws_notice_seconds: float = 10
