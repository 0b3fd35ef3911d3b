"""Showing others that the process of a lock's holder lives, by a connection that ends with it."""

import logging
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import clip
from exchanges.lock.lease import Lease
from exchanges.lock.watch import Listening
from exchanges.redis.client import own_client
from livermore.market import keys

logger = logging.getLogger(__name__)

SOCKET_SECONDS = 1.0  # who keeps it up has other things to do
SECONDS_BETWEEN_LOOKS = 1.0


class Presence:
    """A connection that is subscribed to the holder's own channel while its process lives.

    The system ends it with the process, however that dies. One thread calls `keep_up`, now and
    then, which makes a connection that broke anew.
    """

    def __init__(self, redis: Redis, lease: Lease):
        self._redis = own_client(redis, SOCKET_SECONDS, f"holder:{lease.exchange_id}")
        self._channel = keys.holder_channel(lease.holder.instance_id)
        self._listening: Listening | None = None
        self._next_look_at = 0.0
        self._failing = False

    def keep_up(self, now: float) -> None:
        """Subscribe where that is to be done; `now` is monotonic, in seconds."""
        if now < self._next_look_at:
            return
        self._next_look_at = now + SECONDS_BETWEEN_LOOKS
        try:
            if self._listening is None:
                self._listening = Listening(self._redis.pubsub(ignore_subscribe_messages=True))
            self._listening.to({self._channel})
            while self._listening.receive(0):
                pass
            self._failing = False
        except (RedisError, OSError) as error:
            if not self._failing:
                logger.warning("lock.not_shown error=%s", clip(str(error)))
            self._failing = True
            self._end()

    def close(self) -> None:
        self._end()
        self._redis.close()

    def _end(self) -> None:
        listening, self._listening = self._listening, None
        if listening:
            with suppress(RedisError, OSError):
                listening.close()
