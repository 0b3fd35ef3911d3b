"""A number of calls, then a pause."""

from redis import Redis

from exchanges.redis.scripts import load_script
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.pacing.memory import HostMemory
from exchanges.rest.pacing.pacer import CONSTANTS, Pacer, Turn, turn_of

TAKE_BATCH = load_script("exchanges/rest/pacing/lua/take_batch.lua", CONSTANTS)
TAKE_BACK_BATCH = load_script("exchanges/rest/pacing/lua/take_back_batch.lua", CONSTANTS)


class BatchPacer(Pacer):
    """A number of calls, then a pause: for an exchange whose limits we don't know."""

    batch_size: int

    def __init__(
        self,
        redis: Redis,
        host: str,
        batch_size: int,
        batch_delay_ms: int,
        memory: HostMemory | None = None,
    ):
        super().__init__(redis, host, memory)
        self.batch_size = batch_size
        self._delay_ms = batch_delay_ms
        self._take_batch = self._script(TAKE_BATCH)
        self._take_back = self._script(TAKE_BACK_BATCH)

    def seconds_for(self, calls: int, weight: int) -> float:
        return max(0, -(-calls // self.batch_size) - 1) * self._delay_ms / 1000

    def _take(self, weight: int, lane: Lane | None) -> Turn:
        arguments = [self.batch_size, self._delay_ms, int(lane is not Lane.BACKFILL)]
        turn = turn_of(self._reply(self._take_batch, arguments))
        if not turn.wait_ms:
            # Nobody tells how much of a batch was left: the next one comes after a pause.
            self._memory.raise_to(batch_last=turn.counted_ms, batch_used=self.batch_size)
        return turn

    def take_back(self, counted_ms: int, weight: int) -> None:
        self._take_back(keys=[self._key], args=[counted_ms])
