"""Whether this server can do what it is for, looked at once for all who ask at the same time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from asgiref.sync import sync_to_async
from django.db import Error as DatabaseError
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

HOLDS_SECONDS = 1.0  # anybody may ask, and as often as they like
LONGEST_SECONDS = 3.0  # of a look: who asks has a deadline, too
DATABASE, REDIS = "database", "redis"


class Health:
    """Looks at Redis and the database. Used in the event loop alone."""

    def __init__(self, redis: Redis, read_rows: Callable[[], Awaitable[object]]):
        """`read_rows` reads the database. Raises django.db.Error."""
        self._redis = redis
        self._read_rows = read_rows
        self._looking: asyncio.Task[str] | None = None
        self._found_at = float("-inf")  # monotonic

    async def failing(self) -> str:
        """Return what does not work, as it was a second ago at the most; "" where all does."""
        is_old = time.monotonic() - self._found_at > HOLDS_SECONDS
        if self._looking is None or (self._looking.done() and is_old):
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> str:
        failing, why = DATABASE, ""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._read_rows()
            failing = REDIS
            async with asyncio.timeout(LONGEST_SECONDS):
                await sync_to_async(self._redis.ping, thread_sensitive=False)()
            failing = ""
        except TimeoutError:
            why = f"no answer within {LONGEST_SECONDS:g} s"
        except (DatabaseError, RedisError) as error:
            why = str(error)
        self._found_at = time.monotonic()
        if failing:
            logger.warning("serving.unhealthy failing=%s error=%s", failing, why)
        return failing
