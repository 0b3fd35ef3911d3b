"""How a sandbox is set up."""

from dataclasses import dataclass

from exchanges.sandbox.market.listings import DEFAULT, Listing


@dataclass(frozen=True)
class SandboxConfig:
    """Everything a sandbox can be told at the start; the defaults are the real exchanges' limits.

    `port` 0 takes a free one. Limits and bans are counted on the sandbox's own clock
    (`speed`, `start_ms`: see SandboxClock). `strikes` is how many calls are answered 429
    before the ban; each ban is twice the one before, up to `longest_ban_ms`.
    `coinbase_retry_after` None sends no such header, as Coinbase does. Without `coinbase_aliases`
    a stream under another name is answered for under that name. Everything about WebSockets
    (`ws_…` is Binance's) is counted in this machine's seconds. `scenarios` are settings of
    Scenario, in force from the start. `dead_ipv6` lets connections to [::1] at the same port be
    neither answered nor refused. With `tls_ca` it speaks TLS alone; that is the file into which the
    certificate of the CA goes which vouches for it. With `proxy_port`, 0 for a free one, there is
    a proxy too; `proxy_login` is the `user:password` that it wants.
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
    ws_messages_per_second: int = 5
    ws_message_bytes: int = 4088
    ws_connects_per_5_minutes: int = 300
    ws_streams: int = 1024
    ws_ping_seconds: float = 20
    ws_pong_seconds: float = 60
    ws_lifetime_seconds: float = 86_400
    ws_notice_seconds: float = 10
    coinbase_connects_per_second: int = 8
    coinbase_messages_per_second: int = 8
    coinbase_subscribe_seconds: float = 5
    coinbase_idle_seconds: float = 75
    coinbase_aliases: bool = True
    most_buffered_bytes: int = 8_000_000
    scenarios: tuple[dict, ...] = ()
    dead_ipv6: bool = False
    tls_ca: str | None = None
    proxy_port: int | None = None
    proxy_login: str = ""
