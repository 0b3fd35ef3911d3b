"""How many requests a second an API client sends, to whichever process they go."""

import asyncio
import time

from asgiref.sync import sync_to_async
from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.client import own_client
from livermore.market import keys
from serving.clients import Caller
from serving.counting.lapses import note_not_counted

ANSWER_SECONDS = 1.0  # of Redis, before each process counts for itself
SECONDS_BETWEEN_TRIES = 2.0  # where it did not answer: not each request waits for that
COUNTED_SECONDS = 5  # for which a counter is kept: whoever is late has another clock


class RequestLimits:
    """Counts requests in Redis: those that come while it answers, in one go.

    Where Redis does not answer each process counts for itself. Used in the event loop alone.
    """

    def __init__(self, redis: Redis):
        self._redis = own_client(redis, ANSWER_SECONDS, "serving-requests")
        self._away_until = 0.0  # monotonic
        self._waiting: dict[int, list[asyncio.Future[bool]]] = {}  # by API client
        self._counting: dict[int, asyncio.Task[None]] = {}
        self._full: dict[int, int] = {}  # in which second a client may ask no more

    async def may_ask(self, caller: Caller) -> bool:
        """Count a request; tell whether it is within what the client may send in a second."""
        number = caller.number
        if self._full.get(number) == int(time.time()):
            return False
        counted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(number, []).append(counted)
        if number not in self._counting:
            self._counting[number] = asyncio.create_task(self._count(caller))
        return await counted

    async def _count(self, caller: Caller) -> None:
        number = caller.number
        try:
            while waiting := self._waiting.pop(number, None):
                allowed = await self._allowed(caller, len(waiting))
                for at, counted in enumerate(waiting):
                    if not counted.done():  # its client may have gone
                        counted.set_result(at < allowed)
        finally:
            del self._counting[number]

    async def _allowed(self, caller: Caller, count: int) -> int:
        """Return how many of so many requests are within the limit."""
        if time.monotonic() < self._away_until:
            return sum(caller.may_ask() for _ in range(count))
        second = int(time.time())
        add = sync_to_async(self._add, thread_sensitive=False)
        try:
            before = await add(keys.client_requests(caller.number, second), count) - count
        except RedisError as error:
            note_not_counted("requests", error)
            self._away_until = time.monotonic() + SECONDS_BETWEEN_TRIES
            return sum(caller.may_ask() for _ in range(count))
        allowed = min(count, max(0, caller.requests_per_second - before))
        if allowed < count:
            self._full[caller.number] = second
        return allowed

    def _add(self, name: str, count: int) -> int:
        pipe = self._redis.pipeline(transaction=False)
        pipe.incrby(name, count)
        pipe.expire(name, COUNTED_SECONDS)
        return int(pipe.execute()[0])
