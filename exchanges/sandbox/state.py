"""Everything a running sandbox holds, apart from its sockets."""

from exchanges.sandbox.clock import SandboxClock
from exchanges.sandbox.config import SandboxConfig
from exchanges.sandbox.faults import Faults
from exchanges.sandbox.limits import RateLimit, WeightLimit
from exchanges.sandbox.log import RequestLog
from exchanges.sandbox.market import Market


class SandboxState:
    """The market, its clock, the limits, the faults in force and the log of requests."""

    def __init__(self, config: SandboxConfig):
        self.config = config
        self.clock = SandboxClock(config.speed, config.start_ms)
        self.market = Market(config.seed, config.listings)
        self.requests = RequestLog(config.log_size)
        self.faults = Faults(self.clock)
        self.weights = WeightLimit(
            config.weight_limit, config.strikes, config.ban_ms, config.longest_ban_ms
        )
        self.public_rate = RateLimit(config.coinbase_rate)
        self.private_rate = RateLimit(config.coinbase_private_rate)

    def reset(self) -> None:
        """Forget requests, used limits, bans and faults; the market and the clock go on."""
        self.requests.reset()
        self.faults.clear()
        for limit in (self.weights, self.public_rate, self.private_rate):
            limit.reset()
