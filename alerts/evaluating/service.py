"""The evaluator as a process: its turn, its looks, and who sends what they come to."""

import logging
import threading
import time
from collections.abc import Sequence

from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis import Redis

from alerts.delivery.dead_man import DeadMan
from alerts.delivery.senders import Senders
from alerts.evaluating.evaluator import Evaluator
from alerts.evaluating.retention import Retention
from alerts.evaluating.turn import LASTS_SECONDS, Turn
from alerts.events.source import Source
from exchanges.redis.client import own_client

logger = logging.getLogger(__name__)

STEP_SECONDS = 3.0
ANSWER_SECONDS = 3.0  # of Redis: what hangs is told, too
WELL_SECONDS = 60.0  # so long ago the last look may be that all is well


class AlertService:
    """Evaluates alerts while it is this process's turn, until it is told to end."""

    def __init__(
        self,
        redis: Redis,
        sources: Sequence[Source],
        step_seconds: float = STEP_SECONDS,
        turn_seconds: float = LASTS_SECONDS,
    ):
        self._client = own_client(redis, ANSWER_SECONDS, "alerts")
        self._turn = Turn(self._client, turn_seconds)
        self._evaluator = Evaluator(self._client, sources)
        self._senders = Senders()
        self._retention = Retention()
        self._step_seconds = step_seconds
        self._stopping = threading.Event()
        self._is_ours = False
        self._well_at = float("-inf")  # monotonic
        self._dead_man = DeadMan(self.why_not_well)

    def run(self) -> None:
        """Work until `stop` is called, or something is raised in this thread; then end all."""
        self._dead_man.start()
        try:
            while not self._stopping.is_set():
                close_old_connections()
                try:
                    self.step()
                except DatabaseError as error:
                    logger.warning("alerts.not_evaluated error=%s", error)
                self._stopping.wait(self._step_seconds)
        finally:
            self._dead_man.stop()
            self._senders.stop()
            self._turn.give_back()
            self._client.close()

    def stop(self) -> None:
        """Let `run` end soon. Any thread may call it."""
        self._stopping.set()

    def step(self) -> bool:
        """Look once where it is our turn, and let what is due be sent; tell whether it was."""
        self._is_ours = self._turn.take()
        if not self._is_ours:
            self._senders.stop()
            return False
        done = self._evaluator.step(stands_back=self._turn.redis_is_away)
        self._senders.step()
        self._retention.step()
        if not done.in_vain and not done.faults and not self._turn.redis_is_away:
            self._well_at = time.monotonic()
        return True

    def why_not_well(self) -> str | None:
        """Return why the dead man's address is not to be fetched now, "" where all is well.

        None where another process evaluates: it knows.
        """
        if not self._is_ours:
            return None
        if time.monotonic() - self._well_at > WELL_SECONDS:
            return "alerts are not evaluated"
        return self._senders.why_not_well()
