"""Everything a running sandbox holds, apart from its sockets."""

from collections.abc import Callable

from exchanges.sandbox.faults.faults import Faults
from exchanges.sandbox.faults.scenarios import Scenarios
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BOTH
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.limits import RateLimit, WeightLimit
from exchanges.sandbox.server.request_log import RequestLog
from exchanges.sandbox.server.stream_log import StreamCounts


class SandboxState:
    """The market, its clock, the limits, what goes wrong, and the log of who asked what."""

    def __init__(self, config: SandboxConfig):
        self.config = config
        self.clock = SandboxClock(config.speed, config.start_ms)
        self.market = Market(config.seed, config.listings)
        self.requests = RequestLog(config.log_size)
        self.faults = Faults(self.clock)
        self.proxy_port: int | None = None  # once it is served, if there is one
        self.send_due_now: Callable[[], None] = lambda: None  # until the sockets are served
        first = next(iter(self.market.listings), "")
        self.scenarios = Scenarios(first, lambda: self.send_due_now())
        self.scenarios.replace(config.scenarios)
        self.streams = {protocol: StreamCounts() for protocol in BOTH}
        self.weights = WeightLimit(
            config.weight_limit, config.strikes, config.ban_ms, config.longest_ban_ms
        )
        self.public_rate = RateLimit(config.coinbase_rate)
        self.private_rate = RateLimit(config.coinbase_private_rate)

    def reset(self) -> None:
        """Forget requests, used limits, bans, faults and scenarios; the rest goes on."""
        self.requests.reset()
        self.faults.clear()
        self.scenarios.clear()
        for counts in self.streams.values():
            counts.reset()
        for limit in (self.weights, self.public_rate, self.private_rate):
            limit.reset()
