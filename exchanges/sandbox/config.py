"""How a sandbox is set up."""

from dataclasses import dataclass

from exchanges.sandbox.listings import DEFAULT, Listing


@dataclass(frozen=True)
class SandboxConfig:
    """Everything a sandbox can be told at the start; the defaults are the real exchanges' limits.

    `port` 0 takes a free one. Limits and bans are counted on the sandbox's own clock
    (`speed`, `start_ms`: see SandboxClock). `strikes` is how many calls are answered 429
    before the ban; each ban is twice the one before, up to `longest_ban_ms`.
    `coinbase_retry_after` None sends no such header, as Coinbase does.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    listings: tuple[Listing, ...] = DEFAULT
    speed: float = 1
    start_ms: int | None = None
    latency_ms: int = 0
    weight_limit: int = 6000
    raw_limit: int = 300_000
    strikes: int = 5
    ban_ms: int = 120_000
    longest_ban_ms: int = 259_200_000
    coinbase_rate: int = 10
    coinbase_private_rate: int = 30
    coinbase_retry_after: int | None = None
    log_size: int = 5000
