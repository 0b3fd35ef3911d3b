"""Every close of an exchange, read from its events stream, which loses none."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.control import read_entries
from exchanges.redis.client import own_client
from livermore.market import keys
from serving.candles.unavailable import Unavailable

logger = logging.getLogger(__name__)

BLOCK_MS, SOCKET_SECONDS = 2000, 7.0
EVENTS_AT_ONCE = 1000
SECONDS_BETWEEN_TRIES = 0.5
SECONDS_TO_BEGIN = 2.0
BEGINNING = b"0-0"  # the id before the first

Entry = tuple[bytes, dict[bytes, bytes]]  # id and fields


class Closes:
    """Reads every close of an exchange from when it is made on, in a thread, whatever happens.

    `deliver` is called in the event loop: with entries, and with none where some before the next
    ones may be missing, as the last one that was read is no longer there.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[int, list[Entry]], None],
    ):
        self._redis = redis
        self._exchange_id = exchange_id
        self._key = keys.events(exchange_id)
        self._loop = loop
        self._deliver = deliver
        self._last_id: bytes | None = None
        self._ending = threading.Event()
        self._begun = asyncio.Event()
        name = f"closes-{exchange_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def begun(self) -> None:
        """Wait until it knows where it begins. Raises Unavailable where Redis does not tell."""
        try:
            await asyncio.wait_for(self._begun.wait(), SECONDS_TO_BEGIN)
        except TimeoutError as error:
            raise Unavailable("the cache can't be read") from error

    def close(self) -> None:
        """Let the thread end, when Redis has answered."""
        self._ending.set()

    def _run(self) -> None:
        failing = False
        while not self._ending.is_set():
            try:
                with own_client(self._redis, SOCKET_SECONDS) as redis:
                    self._begin(redis)
                    while not self._ending.is_set():
                        self._read(redis)
                        failing = False
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("closes.not_read exchange=%d error=%s", self._exchange_id, error)
                failing = True
                self._ending.wait(SECONDS_BETWEEN_TRIES)
            except RuntimeError:  # the loop has ended
                return

    def _begin(self, redis: Redis) -> None:
        if self._last_id is None:
            newest: Any = redis.xrevrange(self._key, count=1)
            self._last_id = newest[0][0] if newest else BEGINNING
        self._loop.call_soon_threadsafe(self._begun.set)

    def _read(self, redis: Redis) -> None:
        assert self._last_id is not None
        entries = read_entries(redis, self._key, self._last_id, BLOCK_MS, EVENTS_AT_ONCE)
        if not entries:
            return
        is_whole = self._last_id == BEGINNING or redis.xrange(
            self._key, self._last_id, self._last_id
        )
        if not is_whole:
            self._loop.call_soon_threadsafe(self._deliver, self._exchange_id, [])
        self._last_id = entries[-1][0]
        self._loop.call_soon_threadsafe(self._deliver, self._exchange_id, entries)
