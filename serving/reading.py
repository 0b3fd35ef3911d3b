"""What is read from Redis: one that answers nobody is away, and who asks is told so soon."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from exchanges.daemon_threads import Workers
from serving.candles.unavailable import Unavailable, cache_away

Found = TypeVar("Found")

THREADS = 6
LONGEST_SILENCE_SECONDS = 3.0  # in which no read was answered at all
SECONDS_BETWEEN_TRIES = 2.0  # where that is so: not each request waits for it


class CacheReader:
    """Calls what reads Redis in threads of its own. Used in the event loop alone."""

    def __init__(self) -> None:
        self._workers = Workers(THREADS, "serving-reads")
        self._answered_at = float("-inf")  # monotonic, as is the next one
        self._away_until = float("-inf")

    async def read(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """Return what `work` returns. Raises Unavailable where Redis is away, or answers nobody."""
        begun_at = time.monotonic()
        if begun_at < self._away_until:
            raise Unavailable("the cache can't be read")
        reading = asyncio.wrap_future(self._workers.submit(work, *arguments))
        try:
            while not reading.done():
                silent_at = max(begun_at, self._answered_at) + LONGEST_SILENCE_SECONDS
                left_seconds = silent_at - time.monotonic()
                if left_seconds <= 0:
                    self._away_until = time.monotonic() + SECONDS_BETWEEN_TRIES
                    raise cache_away(TimeoutError("no answer"))
                await asyncio.wait({reading}, timeout=left_seconds)
            found = reading.result()
        except RedisError as error:
            raise cache_away(error) from error
        finally:
            reading.cancel()
        self._answered_at = time.monotonic()
        return found

    def close(self) -> None:
        """Begin nothing more."""
        self._workers.close()
