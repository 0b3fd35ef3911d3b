"""One process at a time writes an exchange's history, on whichever machine."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from redis import Redis
from redis.exceptions import LockError, RedisError

from exchanges.errors import Temporary
from exchanges.models import Exchange
from livermore.market import keys

logger = logging.getLogger(__name__)

LASTS_SECONDS = 30.0
RENEWED_SECONDS = 5.0
LOOK_SECONDS = 0.2  # between looks, whether who has it gives a sign of life


class TurnTaken(Temporary):
    """Another process writes it now."""


class Turn:
    """The right to write an exchange's history, as long as this is entered.

    It lasts 30 s beyond the death of who has it. Raises TurnTaken where somebody else has it; with
    `on_wait`, which is told so, only if they give a sign of life: who was killed is waited for.
    """

    def __init__(
        self, redis: Redis, exchange: Exchange, on_wait: "Callable[[str], None] | None" = None
    ):
        self._exchange = exchange
        self._redis = redis
        self._name = keys.history_turn(exchange.pk)
        self._on_wait = on_wait
        self._lock = redis.lock(self._name, timeout=LASTS_SECONDS, thread_local=False)
        self._ending = threading.Event()
        self._lost = False
        self._lasts_until = 0.0  # monotonic, as far as is known

    def __enter__(self) -> "Turn":
        began = self._acquire()
        if began is None:
            raise TurnTaken(
                f"another process writes the history of {self._exchange.name} now: `--follow` "
                "fills what is kept by itself; else wait for it, or end it and try again"
            )
        self._lasts_until = began + LASTS_SECONDS
        self._thread = threading.Thread(target=self._renew, name="history-turn", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        self._thread.join()
        with suppress(LockError, RedisError):
            self._lock.release()

    def check(self) -> None:
        """Raise Temporary where it was lost: another process may write by now.

        Redis is asked. Where it does not answer it lasts as long as it was given for.
        """
        with suppress(RedisError):
            self._lost = self._lost or not self._lock.owned()
        if self._lost or time.monotonic() >= self._lasts_until:
            raise Temporary(f"the turn to write the history of {self._exchange.name} was lost")

    def _acquire(self) -> float | None:
        """Return when it was given, None where somebody else has it."""
        left_ms = float("inf")
        while True:
            began = time.monotonic()
            if self._lock.acquire(blocking=False):
                return began
            lasts_ms = self._redis.pttl(self._name)
            if self._on_wait is None or lasts_ms > left_ms:  # it was renewed
                return None
            if left_ms == float("inf"):
                self._on_wait(
                    f"another process has the history of {self._exchange.name}: waiting for up to "
                    f"{LASTS_SECONDS:.0f} s, in case it was killed"
                )
            left_ms = lasts_ms
            time.sleep(LOOK_SECONDS)

    def _renew(self) -> None:
        while not self._ending.wait(RENEWED_SECONDS):
            began = time.monotonic()
            try:
                self._lock.reacquire()
                self._lasts_until = began + LASTS_SECONDS
            except LockError as error:
                self._lost = True
                logger.warning("history.turn_lost exchange=%d error=%s", self._exchange.pk, error)
                return
            except RedisError as error:
                logger.debug("history.turn_not_renewed error=%s", error)
