"""One process at a time writes an exchange's history, on whichever machine."""

import logging
import threading
from contextlib import suppress

from redis import Redis
from redis.exceptions import LockError, RedisError

from exchanges.errors import Temporary
from exchanges.models import Exchange
from livermore.market import keys

logger = logging.getLogger(__name__)

LASTS_SECONDS = 30.0
RENEWED_SECONDS = 5.0


class Turn:
    """The right to write an exchange's history, as long as this is entered.

    It lasts 30 s beyond the death of who has it. Raises Temporary where somebody else has it.
    """

    def __init__(self, redis: Redis, exchange: Exchange):
        self._exchange = exchange
        name = keys.history_turn(exchange.pk)
        self._lock = redis.lock(name, timeout=LASTS_SECONDS, thread_local=False)
        self._ending = threading.Event()
        self._lost = False

    def __enter__(self) -> "Turn":
        if not self._lock.acquire(blocking=False):
            raise Temporary(
                f"another process fills the history of {self._exchange.name} now: "
                f"wait for it, or end it and try again after {LASTS_SECONDS:.0f} s"
            )
        self._thread = threading.Thread(target=self._renew, name="history-turn", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        self._thread.join()
        with suppress(LockError, RedisError):
            self._lock.release()

    def check(self) -> None:
        """Raise Temporary where it was lost: another process may write by now."""
        if self._lost:
            raise Temporary(f"the turn to write the history of {self._exchange.name} was lost")

    def _renew(self) -> None:
        while not self._ending.wait(RENEWED_SECONDS):
            try:
                self._lock.reacquire()
            except LockError as error:
                self._lost = True
                logger.warning("history.turn_lost exchange=%d error=%s", self._exchange.pk, error)
                return
            except RedisError as error:
                logger.debug("history.turn_not_renewed error=%s", error)
