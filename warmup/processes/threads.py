"""Exchanges that run in the agent's own process, a thread each."""

import threading
from collections.abc import Callable
from typing import Protocol

from redis import Redis

from exchanges.errors import Temporary
from exchanges.models import Exchange
from warmup.processes.life import Life, Order, Outcome
from warmup.processes.report import ProcessReport

Ended = Callable[[Outcome], object]


class Run(Protocol):
    """One exchange that was begun, wherever it runs."""

    @property
    def alive(self) -> bool: ...

    @property
    def instance_id(self) -> str:
        """Return the id by which it holds the exchange's lock, "" while it does not."""

    @property
    def pid(self) -> int | None:
        """Return the process that runs it."""

    def stop(self) -> None: ...

    def leave(self) -> None:
        """End as `stop` does, but once another agent streams it, if one waits for it."""

    def join(self, seconds: float) -> None: ...


class Place(Protocol):
    """Where exchanges run."""

    def begin(self, exchange: Exchange, order: Order, on_end: Ended) -> Run:
        """Begin to run an exchange; `on_end` is called, in any thread, when that is over.

        Raises Temporary where that can't be begun now.
        """

    def check(self) -> None:
        """Raise what keeps this from running anything."""

    def report(self) -> list[ProcessReport]:
        """Return which processes there are beside this one."""

    def close(self) -> None:
        """End what still runs."""


class Threads:
    """Runs exchanges in threads of this process. `say` is told what ends."""

    def __init__(self, redis: Redis, say: Callable[[str], None]):
        self._redis = redis
        self._say = say

    def begin(self, exchange: Exchange, order: Order, on_end: Ended) -> Run:
        return InThread(Life(self._redis, exchange, order, self._say), on_end)

    def check(self) -> None:
        pass

    def report(self) -> list[ProcessReport]:
        return []

    def close(self) -> None:
        pass


class InThread:
    """A life in a thread of its own."""

    pid = None

    def __init__(self, life: Life, on_end: Ended):
        self._life = life
        self._on_end = on_end
        self._ended = False
        self._thread = threading.Thread(
            target=self._run, name=f"runner-{life.exchange.name}", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:  # the system has no room for another one
            raise Temporary(f"no thread for {life.exchange.name}: {error}") from error

    @property
    def alive(self) -> bool:
        return not self._ended

    @property
    def instance_id(self) -> str:
        return self._life.instance_id

    def stop(self) -> None:
        self._life.stop()

    def leave(self) -> None:
        self._life.leave()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            outcome = self._life.run()
        finally:
            self._ended = True
        self._on_end(outcome)
