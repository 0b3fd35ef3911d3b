"""How much of an exchange's limits all of us have used up lately, read now and then."""

import asyncio
import time

from redis import Redis

from exchanges.rest.pacing.usage import read_usage
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.reading import CacheReader

HOLDS_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 0.25  # it is said beside an answer: that waits no longer for it


class UsedWeights:
    """Tells the request weight of the last minute, a second old at the most. For one loop."""

    def __init__(self, redis: Redis, reader: CacheReader):
        self._redis = redis
        self._reader = reader
        self._known: dict[str, tuple[float, int | None]] = {}  # by host
        self._reading = asyncio.Lock()

    async def of(self, exchange: ServedExchange) -> int | None:
        """Return it, None where no weight is kept of the exchange, or Redis is away."""
        if self._age(exchange.host) > HOLDS_SECONDS:
            async with self._reading:
                if self._age(exchange.host) > HOLDS_SECONDS:
                    self._known[exchange.host] = time.monotonic(), await self._read(exchange.host)
        return self._known[exchange.host][1]

    def _age(self, host: str) -> float:
        return time.monotonic() - self._known.get(host, (float("-inf"), None))[0]

    async def _read(self, host: str) -> int | None:
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                return (await self._reader.read(read_usage, self._redis, host)).weight
        except (TimeoutError, Unavailable):
            return None
