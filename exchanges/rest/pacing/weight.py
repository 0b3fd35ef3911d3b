"""As much request weight as an exchange says that it allows."""

from math import ceil

from redis import Redis

from exchanges.redis.scripts import load_script
from exchanges.rest.pacing.budget import SHARE_OF_LIMIT, Lane, Limits
from exchanges.rest.pacing.memory import HostMemory
from exchanges.rest.pacing.pacer import CONSTANTS, Pacer, Turn, turn_of
from exchanges.rest.pacing.usage import read_usage

LIMITS_BELIEVED_MS = 3_600_000
ASKED_LATELY_MS = 10_000  # so long whoever asks for the limits has time to tell them to all
TAKE_WEIGHT = load_script("exchanges/rest/pacing/lua/take_weight.lua", CONSTANTS)
TAKE_BACK_WEIGHT = load_script("exchanges/rest/pacing/lua/take_back_weight.lua", CONSTANTS)
OBSERVE = load_script("exchanges/rest/pacing/lua/observe.lua", CONSTANTS)
SET_LIMITS = load_script("exchanges/rest/pacing/lua/set_limits.lua", CONSTANTS)
ASK_LIMITS = load_script("exchanges/rest/pacing/lua/ask_limits.lua", CONSTANTS)


class WeightPacer(Pacer):
    """As fast as the exchange's published request weight allows, less a fifth."""

    def __init__(
        self, redis: Redis, host: str, until_known: Limits, memory: HostMemory | None = None
    ):
        super().__init__(redis, host, memory)
        self._until_known = until_known
        self._used = 0
        self._allowed = int(SHARE_OF_LIMIT * until_known.weight_per_minute)
        self._take_weight = self._script(TAKE_WEIGHT)
        self._take_back = self._script(TAKE_BACK_WEIGHT)
        self._known = False
        self._observe = self._script(OBSERVE)
        self._set_limits = self._script(SET_LIMITS)
        self._ask_limits = self._script(ASK_LIMITS)

    def observe_weight(self, used: int) -> None:
        if used > self._used:  # else there is nothing that we don't count already
            self._observe(keys=[self._key], args=[used])

    def limits_known(self) -> bool:
        return self._known

    def should_ask_limits(self) -> bool:
        return bool(self._ask_limits(keys=[self._key], args=[ASKED_LATELY_MS]))

    def set_limits(self, limits: Limits) -> None:
        self._keep_to(limits, assumed=False)

    def assume_limits(self) -> bool:
        return self._keep_to(self._until_known, assumed=True)

    def _keep_to(self, limits: Limits, assumed: bool) -> bool:
        arguments = [
            limits.weight_per_minute,
            limits.requests_per_5_minutes,
            LIMITS_BELIEVED_MS,
            int(assumed),
        ]
        self._known = True
        is_new = bool(self._set_limits(keys=[self._key], args=arguments))
        self._memory.look_soon()
        return is_new

    def seconds_for(self, calls: int, weight: int) -> float:
        if not self._known and (limit := self._limit()):
            self._allowed = int(SHARE_OF_LIMIT * limit)
        # What is used up comes back when it is a minute old, all of it more or less at once.
        free = max(0, self._allowed - self._used)
        return 60.0 * ceil(max(0, calls * weight - free) / max(self._allowed, 1))

    def _limit(self) -> int | None:
        return read_usage(self._redis, self.host).weight_limit

    def _take(self, weight: int, lane: Lane | None) -> Turn:
        arguments = [
            weight,
            SHARE_OF_LIMIT * lane.value if lane else "",
            self._until_known.weight_per_minute,
            self._until_known.requests_per_5_minutes,
        ]
        *said, self._used, self._allowed, known = self._reply(self._take_weight, arguments)
        self._known = bool(known)
        turn = turn_of(said)
        if not turn.wait_ms:
            self._remember(turn.counted_ms, weight, 1)
        return turn

    def take_back(self, counted_ms: int, weight: int) -> None:
        self._remember(counted_ms, -weight, -1)
        self._used = self._take_back(keys=[self._key], args=[counted_ms, weight])

    def _remember(self, counted_ms: int, weight: int, requests: int) -> None:
        slices = {
            f"weight:{counted_ms // 1000}": weight,
            f"requests:{counted_ms // 5000}": requests,
        }
        self._memory.add(**slices)
