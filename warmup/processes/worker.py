"""What runs in a process that an agent let fork: some of its exchanges, until the agent is gone."""

import contextlib
import logging
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from django_redis import get_redis_connection
from redis import Redis

from exchanges.models import Exchange
from warmup.processes.fork_server import GRACE_SECONDS
from warmup.processes.life import Life, Order, Outcome
from warmup.processes.messages import MOST_AT_ONCE, Line

logger = logging.getLogger(__name__)

TURN_SECONDS = 0.25  # between two turns of exchanges of which nothing closes
SECONDS_BETWEEN_MEASURES = 10.0


def work(end: socket.socket) -> None:
    """Do what the agent says at the other end of a socket, and end when it is gone."""
    Worker(Line(end), get_redis_connection("default")).run()


class Worker:
    """Runs exchanges for an agent: each has threads for what may not wait, and turns here."""

    def __init__(self, agent: Line, redis: Redis):
        self._agent = agent
        self._redis = redis
        self._woken, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        self._runs: dict[int, InTurns] = {}
        self._told: dict[int, str] = {}
        self._ending = False
        self._measure_at = 0.0

    def run(self) -> None:
        """Work until the agent is gone, or SIGTERM came, and all has ended."""
        signal.signal(signal.SIGTERM, self._leave)
        while not self._ending or self._runs:
            self._receive(TURN_SECONDS)
            for run in self._runs.values():
                run.turn()
            self._tell()

    def _end(self) -> None:
        """Let all end; where that takes too long the system ends this process."""
        if not self._ending:
            self._ending = True
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
            for run in self._runs.values():
                run.stop()

    def _leave(self, *_signal: object) -> None:
        """Let all end, each once another agent streams it, if one waits for it."""
        if not self._ending:
            self._ending = True
            seconds = GRACE_SECONDS + settings.LIVERMORE_HANDOVER_SECONDS
            signal.setitimer(signal.ITIMER_REAL, seconds)
            for run in self._runs.values():
                run.leave()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # then it is awake already
            self._wakes.send(b"!")

    def _receive(self, seconds: float) -> None:
        reading = [self._woken] if self._ending else [self._woken, self._agent.socket]
        ready, _, _ = select.select(reading, [], [], seconds)
        if self._woken in ready:
            self._woken.recv(MOST_AT_ONCE)
        if self._agent.socket in ready:
            messages = self._agent.receive()
            if messages is None:
                self._end()
            for message in messages or ():
                self._obey(message["run"], message)

    def _obey(self, number: int, message: dict[str, Any]) -> None:
        if name := message.get("begin"):
            told = (message[name] for name in ("from", "reason", "wait", "goes_on"))
            order = Order(*told)
            exchange = Exchange(pk=message["exchange"], name=name)
            life = Life(self._redis, exchange, order, self._say, self._wake)
            self._runs[number] = InTurns(life, self._wake)
        elif run := self._runs.get(number):
            run.leave() if message.get("leave") else run.stop()

    def _say(self, text: str) -> None:
        self._agent.send(said=text)

    def _tell(self) -> None:
        """Tell the agent what ended, what is held, and from time to time what this takes."""
        for number, run in list(self._runs.items()):
            if run.outcome:
                del self._runs[number]
                self._agent.send(run=number, ended=run.outcome._asdict())
            elif (held := run.instance_id) != self._told.get(number, ""):
                self._told[number] = held
                self._agent.send(run=number, holds=held)
        if time.monotonic() >= self._measure_at:
            self._measure_at = time.monotonic() + SECONDS_BETWEEN_MEASURES
            self._agent.send(measured=measured())


class InTurns:
    """A life of which turns that last long, as the first and the last, are taken in threads.

    `wake` is called when one of them is over. `outcome` is there once all are.
    """

    def __init__(self, life: Life, wake: Callable[[], None]):
        self.outcome: Outcome | None = None
        self._life = life
        self._wake = wake
        self._turns = life.turns(0)
        self._is_live = self._is_last = False
        self._lacks_thread = False
        self._in_thread()

    @property
    def instance_id(self) -> str:
        return self._life.instance_id

    def stop(self) -> None:
        self._is_last = True
        self._life.stop()
        self._wake()

    def leave(self) -> None:
        """End it as `Life.leave` does."""
        self._is_last = True
        self._life.leave()
        self._wake()

    def turn(self) -> None:
        """Take the next turn, if it is live; where it lacks a thread, try to have one."""
        if self._lacks_thread:
            self._in_thread()
        elif self._is_live and self._is_last:
            self._is_live = False
            self._in_thread()
        elif self._is_live:
            self._take_turn()

    def _in_thread(self) -> None:
        name = self._life.exchange.name
        thread = threading.Thread(target=self._take_long_turn, name=f"runner-{name}", daemon=True)
        lacked, self._lacks_thread = self._lacks_thread, False  # first: what it says itself counts
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for another one
            if not lacked:
                logger.error("worker.no_thread exchange=%s error=%s", name, error)
            self._lacks_thread = True

    def _take_long_turn(self) -> None:
        try:
            self._take_turn()
        finally:
            connections.close_all()
            self._wake()

    def _take_turn(self) -> None:
        try:
            if next(self._turns):
                self._is_live = False
                self._in_thread()
            else:
                self._is_live = True  # last: from here on another thread may take the next one
            return
        except StopIteration:
            error = None
        except Exception as raised:
            error = raised
        self._is_live = False
        self.outcome = self._life.end(error)


def measured() -> dict[str, float]:
    """Return what this process takes, as a ProcessReport has it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, float] = {"cpu_seconds": round(used.ru_utime + used.ru_stime, 2)}
    with contextlib.suppress(OSError, ValueError, IndexError):  # Linux alone tells the others
        found["threads"] = len(list(Path("/proc/self/task").iterdir()))
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found["memory_bytes"] = 1024 * int(line.split()[1])
    return found
