"""Everything a running sandbox holds, apart from its sockets."""

from collections.abc import Callable

from exchanges.sandbox.faults.faults import Faults
from exchanges.sandbox.faults.scenarios import Scenarios
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocols import PROTOCOLS
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.request_log import RequestLog
from exchanges.sandbox.server.stream_log import StreamCounts


class SandboxState:
    """The market, its clock, every REST side, what goes wrong, and the log of who asked what."""

    def __init__(self, config: SandboxConfig):
        self.config = config
        self.clock = SandboxClock(config.speed, config.start_ms)
        self.market = Market(config.seed, config.listings)
        self.rest = {
            protocol: protocol.rest(self.market, config.of[protocol.name]) for protocol in PROTOCOLS
        }
        self.requests = RequestLog(config.log_size)
        endpoints = [endpoint for rest in self.rest.values() for endpoint in rest.endpoints]
        odd_limits = {way: endpoint.name for endpoint in endpoints for way in endpoint.odd_limits}
        self.faults = Faults(self.clock, odd_limits)
        self.proxy_port: int | None = None  # once it is served, if there is one
        self.send_due_now: Callable[[], None] = lambda: None  # until the sockets are served
        first = next(iter(self.market.listings), "")
        self.scenarios = Scenarios(first, lambda: self.send_due_now())
        self.scenarios.replace(config.scenarios)
        self.streams = {protocol.name: StreamCounts() for protocol in PROTOCOLS}

    def reset(self) -> None:
        """Forget requests, used limits, bans, faults and scenarios; the rest goes on."""
        self.requests.reset()
        self.faults.clear()
        self.scenarios.clear()
        for counts in self.streams.values():
            counts.reset()
        for rest in self.rest.values():
            rest.reset()
