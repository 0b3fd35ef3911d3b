"""Processes that evaluate alerts: one works, another waits, and whoever dies is replaced."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from django.db import connection

from alerts.models import Delivery
from tests.experiments.bots.fleet import Kept
from tests.experiments.watching.webhook import Doubt
from tests.warmup.runners import wait_until

WORKS, WORKS_NO_MORE = "alerts.evaluating", "alerts.turn_lost"
COUNT = 2
SECONDS_TO_BEGIN = 60
WORDS_OF_A_FAULT = ("Traceback", "never retrieved", "Unclosed")


class Evaluators:
    """Two processes, `begin` starts one. `kills` counts those that were killed.

    `doubts` are the messages that these left in the middle: as sent now, when they were dead.
    """

    def __init__(self, begin: Callable[[], Kept]):
        self._begin = begin
        self._alive: list[Kept] = []
        self._all: list[Kept] = []
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._resting, self._sparing = threading.Event(), threading.Event()
        self.kills: list[float] = []  # when, in seconds of the epoch
        self.doubts: list[Doubt] = []
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin what is missing of two, and wait until one of them works."""
        self._resting.clear()
        self._replace()
        wait_until(self.working, SECONDS_TO_BEGIN)

    def working(self) -> Kept | None:
        """Return the process that says that it evaluates."""
        return next((each for each in self._alive if _works(each)), None)

    def kill(self) -> None:
        """Kill who works, or any where none says so."""
        with self._lock:
            if killed := self.working() or next(iter(self._alive), None):
                self._kill(killed)

    def kill_all(self) -> None:
        """Kill all of them."""
        with self._lock:
            for each in list(self._alive):
                self._kill(each)

    def rest(self) -> None:
        """Kill all, and begin none until `begin` is called."""
        with self._lock:
            self._resting.set()
            self.kill_all()

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Kill none at a drawn moment while the block lasts."""
        self._sparing.set()
        try:
            yield
        finally:
            self._sparing.clear()

    def kill_now_and_then(self, seed: int, least: float, most: float) -> None:
        """Kill who works a drawn time after it was found to work, and replace whoever is dead."""
        self._thread = threading.Thread(
            target=self._run, args=[Random(seed), least, most], daemon=True
        )
        self._thread.start()

    def end(self) -> Iterator[str]:
        """End all in order; yield what any of them said that is a fault."""
        self._ending.set()
        if self._thread:
            self._thread.join(30)
        for each in self._alive:
            if each.end(seconds=30) not in (0, -15):
                yield f"a process of alerts ended with {each.process.returncode}"
        for each in self._all:
            said = "".join(each.errors)
            for word in WORDS_OF_A_FAULT:
                if word in said:
                    yield f"a process of alerts said: {said[said.index(word) :][:1500]}"

    def stop(self) -> None:
        """Kill what is left, however that is."""
        self._ending.set()
        for each in self._all:
            each.process.kill()

    def said(self, word: str) -> int:
        """Return how often the processes said so."""
        return sum("".join(each.errors).count(word) for each in self._all)

    def _run(self, rng: Random, least: float, most: float) -> None:
        kill_at: float | None = None
        while not self._ending.wait(0.2):
            self._replace()
            if self._sparing.is_set() or not self.working():
                kill_at = None
            elif kill_at is None:
                kill_at = time.monotonic() + rng.uniform(least, most)
            elif time.monotonic() >= kill_at:
                self.kill()

    def _replace(self) -> None:
        with self._lock:
            if self._resting.is_set():
                return
            self._alive = [each for each in self._alive if each.process.poll() is None]
            while len(self._alive) < COUNT:
                self._alive.append(self._begin())
                self._all.append(self._alive[-1])

    def _kill(self, each: Kept) -> None:
        each.process.kill()
        each.process.wait()
        self._alive.remove(each)
        self.kills.append(time.time())
        self.doubts += [Doubt(self.kills[-1], number) for number in _sent_by(each.pid)]


def _sent_by(pid: int) -> list[int]:
    """Return the deliveries that a process marked as being sent, and of which it noted no more."""
    sent = Delivery.objects.filter(state=Delivery.State.SENDING, sender__startswith=f"{pid}-")
    try:
        return list(sent.values_list("pk", flat=True))
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()


def _works(each: Kept) -> bool:
    said = [line for line in list(each.errors) if WORKS in line or WORKS_NO_MORE in line]
    return bool(said) and WORKS in said[-1]
