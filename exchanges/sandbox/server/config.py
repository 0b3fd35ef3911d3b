"""How a sandbox is set up."""

from dataclasses import dataclass, fields
from typing import Any

from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.protocols import PROTOCOLS
from exchanges.sandbox.symbols import DEFAULT


@dataclass(frozen=True)
class ServerSettings:
    """What concerns every protocol.

    `port` 0 takes a free one. `speed` and `start_ms`: see SandboxClock. A client that doesn't read
    is cut once more than `most_buffered_bytes` wait for it. `scenarios` are settings of Scenario,
    in force from the start. `dead_ipv6` lets connections to [::1] at the same port be
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
    log_size: int = 5000
    most_buffered_bytes: int = 8_000_000
    scenarios: tuple[dict, ...] = ()
    dead_ipv6: bool = False
    tls_ca: str | None = None
    proxy_port: int | None = None
    proxy_login: str = ""


class SandboxConfig(ServerSettings):
    """Everything a sandbox can be told at the start; the defaults are the real exchanges' limits.

    Takes ServerSettings' names and those of each protocol's settings. `of` has these by the
    protocol's name. Raises TypeError for a name that none of them has.
    """

    of: dict[str, Any]

    def __init__(self, **settings: Any):
        of = {protocol.name: _taken(settings, protocol.settings) for protocol in PROTOCOLS}
        super().__init__(**settings)
        object.__setattr__(self, "of", of)


def _taken(settings: dict[str, Any], kind: type) -> Any:
    """Take a protocol's settings out of all."""
    names = [one.name for one in fields(kind) if one.name in settings]
    return kind(**{name: settings.pop(name) for name in names})
