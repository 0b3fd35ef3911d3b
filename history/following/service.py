"""All exchanges whose history is kept, each followed in a thread of its own."""

import logging
import threading
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis import Redis

from history.following.follower import HistoryFollower
from history.following.kept import kept_exchanges

logger = logging.getLogger(__name__)

STEP_SECONDS = 5.0
END_SECONDS = 3.0  # for what is being written; whatever takes longer is taken up by the next one


class HistoryService:
    """Follows what rows say is kept, of one exchange or of all. `say` is told what begins."""

    def __init__(self, redis: Redis, say: Callable[[str], None], name: str | None = None):
        self._redis = redis
        self._say = say
        self._name = name
        self._stopping = threading.Event()
        self._followers: dict[int, HistoryFollower] = {}

    def run(self) -> None:
        """Work until `stop` is called, or something is raised in this thread; then end all."""
        try:
            while not self._stopping.is_set():
                close_old_connections()
                try:
                    self.step()
                except DatabaseError as error:
                    logger.warning("history.rows_not_read error=%s", error)
                self._stopping.wait(STEP_SECONDS)
        finally:
            self._end(list(self._followers))

    def stop(self) -> None:
        self._stopping.set()

    def step(self) -> None:
        """Begin what is kept and not followed yet, end what is kept no more."""
        wanted = {exchange.pk: exchange for exchange in kept_exchanges(self._name)}
        self._end([number for number in self._followers if number not in wanted])
        for number, exchange in wanted.items():
            follower = self._followers.get(number)
            if follower is None or not follower.alive:
                self._followers[number] = follower = HistoryFollower(self._redis, exchange)
                follower.start()
                self._say(f"history of {exchange.name}: continued")

    def _end(self, numbers: list[int]) -> None:
        ending = [self._followers.pop(number) for number in numbers]
        for follower in ending:
            follower.stop()
        for follower in ending:
            follower.join(END_SECONDS)
