"""What runs in a process that an agent let fork: some of its exchanges, until the agent is gone."""

import contextlib
import resource
import select
import signal
import socket
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from redis import Redis

from exchanges.models import Exchange
from warmup.processes.fork_server import GRACE_SECONDS
from warmup.processes.life import Order, Outcome
from warmup.processes.messages import Line
from warmup.processes.threads import Run, Threads

STEP_SECONDS = 0.25
SECONDS_BETWEEN_MEASURES = 10.0


def work(end: socket.socket) -> None:
    """Do what the agent says at the other end of a socket, and end when it is gone."""
    Worker(Line(end), get_redis_connection("default")).run()


class Worker:
    """Runs exchanges for an agent, each in its threads."""

    def __init__(self, agent: Line, redis: Redis):
        self._agent = agent
        self._threads = Threads(redis, lambda text: agent.send(said=text))
        self._runs: dict[int, Run] = {}
        self._told: dict[int, str] = {}
        self._ending = False
        self._measure_at = 0.0

    def run(self) -> None:
        """Work until the agent is gone, or SIGTERM came, and all has ended."""
        signal.signal(signal.SIGTERM, self._leave)
        while not self._ending or self._runs:
            self._receive(STEP_SECONDS)
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

    def _receive(self, seconds: float) -> None:
        if self._ending:
            time.sleep(seconds / 10)
        elif select.select([self._agent.socket], [], [], seconds)[0]:
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
            self._runs[number] = self._threads.begin(
                exchange, order, lambda outcome: self._ended(number, outcome)
            )
        elif run := self._runs.get(number):
            run.leave() if message.get("leave") else run.stop()

    def _ended(self, number: int, outcome: Outcome) -> None:
        self._agent.send(run=number, ended=outcome._asdict())

    def _tell(self) -> None:
        """Tell the agent what is held, and from time to time what this takes."""
        for number, run in list(self._runs.items()):
            if not run.alive:
                del self._runs[number]
            elif (held := run.instance_id) != self._told.get(number, ""):
                self._told[number] = held
                self._agent.send(run=number, holds=held)
        if time.monotonic() >= self._measure_at:
            self._measure_at = time.monotonic() + SECONDS_BETWEEN_MEASURES
            self._agent.send(measured=measured())


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
