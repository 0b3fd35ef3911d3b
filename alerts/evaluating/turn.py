"""One process at a time evaluates alerts, on whichever machine; another takes over when it dies."""

import logging
import time

from redis import Redis
from redis.exceptions import LockError, RedisError

from livermore.market import keys

logger = logging.getLogger(__name__)

LASTS_SECONDS = 15.0


class Turn:
    """Whether it is this process's turn, asked for at each step.

    It lasts 15 s beyond the death of who has it. While Redis is away everybody's turn is: who can
    ring that it is has to, and the database lets one of them count.
    """

    def __init__(self, redis: Redis, seconds: float = LASTS_SECONDS):
        self._lock = redis.lock(keys.alerts_turn(), timeout=seconds, thread_local=False)
        self._seconds = seconds
        self._has = False
        self.redis_is_away = False
        self.since = 0.0  # monotonic: for how long it has been ours

    def take(self) -> bool:
        """Tell whether it is ours, after asking for it."""
        try:
            had, self._has = self._has, self._renew() or self._lock.acquire(blocking=False)
            self.redis_is_away = False
        except RedisError as error:
            if not self.redis_is_away:
                logger.warning("alerts.turn_unknown error=%s", error)
            self.redis_is_away = True
            return True
        if self._has and not had:
            self.since = time.monotonic()
            logger.info("alerts.evaluating")
        elif had and not self._has:
            logger.warning("alerts.turn_lost")
        return self._has

    def give_back(self) -> None:
        """Let another process have it at once."""
        try:
            if self._has:
                self._lock.release()
        except (LockError, RedisError) as error:
            logger.debug("alerts.turn_not_given_back error=%s", error)
        self._has = False

    def _renew(self) -> bool:
        if not self._has:
            return False
        try:
            return bool(self._lock.reacquire())
        except LockError:  # it ran out, or Redis lost it
            return False
