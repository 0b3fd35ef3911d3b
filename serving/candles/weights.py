"""How much of an exchange's limits all of us have used up lately, read now and then."""

import asyncio
import time

from asgiref.sync import sync_to_async
from redis import Redis
from redis.exceptions import RedisError

from exchanges.rest.pacing.usage import read_usage
from serving.directory import ServedExchange

HOLDS_SECONDS = 1.0


class UsedWeights:
    """Tells the request weight of the last minute, a second old at the most. For one loop."""

    def __init__(self, redis: Redis):
        self._redis = redis
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
            usage = await sync_to_async(read_usage, thread_sensitive=False)(self._redis, host)
        except RedisError:
            return None
        return usage.weight
