"""Exchanges that run in processes of their own: which of them runs what, and what became of it."""

import itertools
import logging
import selectors
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from os import strerror
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import Temporary
from exchanges.lock.acquire import ExchangeLock
from exchanges.models import Exchange
from warmup.processes.fork_server import (
    FORKED,
    NOT_FORKED,
    ForkServer,
    ForkServerDied,
    NotForked,
)
from warmup.processes.life import Order, Outcome
from warmup.processes.messages import Line
from warmup.processes.report import ProcessReport
from warmup.processes.threads import Ended, Run
from warmup.runner.trouble import TroubleReport

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 0.5  # for what a process says, and to learn that another one was begun


class ProcessDied(Temporary):
    """The process that ran an exchange ended, and nobody had asked it to."""


class Process:
    """One process and what runs in it, as the agent knows it."""

    def __init__(self, line: Line):
        self.line = line
        self.pid: int | None = None  # until it is known
        self.runs: dict[int, InProcess] = {}
        self.measured: dict[str, Any] = {}
        self.leaving = False  # nothing runs in it, and it was told so
        self.is_open = True  # as long as it may say something


class InProcess:
    """A run in a process."""

    def __init__(self, number: int, process: Process, exchange: Exchange, order: Order):
        self.number = number
        self.process = process
        self.exchange = exchange
        self.order = order
        self.instance_id = ""
        self._over = threading.Event()

    @property
    def alive(self) -> bool:
        return not self._over.is_set()

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def stop(self) -> None:
        self.process.line.send(run=self.number, stop=True)

    def leave(self) -> None:
        self.process.line.send(run=self.number, leave=True)

    def join(self, seconds: float) -> None:
        self._over.wait(seconds)

    def end(self) -> None:
        """Learn that it is over."""
        self._over.set()


class Processes:
    """Runs exchanges in up to `most` processes, which `server` forks.

    Each has its own as long as there are enough; then the one gets it that has the fewest. A
    process ends with the last exchange in it. Where one dies, those that ran in it are over, and
    their locks are given back: whoever runs them next need not wait for them. One thread calls
    `begin` and `close`; another is this object's own. `say` is told what ends; what it can't say is
    left out.
    """

    def __init__(self, server: ForkServer, redis: Redis, most: int, say: Callable[[str], None]):
        self._server = server
        self._redis = redis
        self._most = most
        self._say = say
        self._processes: list[Process] = []
        self._unnamed: deque[Process] = deque()  # in the order they were asked for
        self._ends: dict[int, Ended] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._died: ForkServerDied | None = None
        self._closing = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(server.socket, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, name="processes", daemon=True)
        self._thread.start()

    def begin(self, exchange: Exchange, order: Order, on_end: Ended) -> Run:
        """Run an exchange in one of the processes. Raises NotForked, and ForkServerDied."""
        with self._lock:
            process = self._choose()
            run = InProcess(next(self._numbers), process, exchange, order)
            process.runs[run.number] = run
            self._ends[run.number] = on_end
        process.line.send(
            **{"run": run.number, "exchange": exchange.pk, "begin": exchange.name},
            **{"from": order.from_whom, "reason": order.reason, "wait": order.wait_seconds},
            goes_on=order.goes_on,
        )
        return run

    def check(self) -> None:
        """Raise ForkServerDied once nothing can be begun any more: nobody notices who dies then."""
        if self._died:
            raise self._died

    def report(self) -> list[ProcessReport]:
        with self._lock:
            return [
                ProcessReport(
                    each.pid,
                    tuple(run.exchange.name for run in each.runs.values()),
                    **each.measured,
                )
                for each in self._processes
                if each.pid
            ]

    def close(self) -> None:
        """Kill what still runs, and wait for it to be gone."""
        self._closing.set()
        self._thread.join(2 * LONGEST_WAIT_SECONDS)
        with self._lock:
            for process in self._processes:
                process.line.close()
            self._server.close()
            self._selector.close()

    def _choose(self) -> Process:
        open_ones = [each for each in self._processes if not each.leaving]
        if len(open_ones) >= self._most:
            return min(open_ones, key=lambda each: len(each.runs))
        process = Process(Line(self._server.fork()))
        self._processes.append(process)
        self._unnamed.append(process)
        self._selector.register(process.line.socket, selectors.EVENT_READ, process)
        return process

    # -- the thread

    def _listen(self) -> None:
        try:
            while not self._closing.is_set():
                for key, _ in self._selector.select(LONGEST_WAIT_SECONDS):
                    if key.data:
                        self._receive(key.data)
                    else:
                        self._notice(self._server.notices())
        except ForkServerDied as error:
            self._lose(error)
        except Exception as error:
            logger.exception("agent.not_listening")
            self._lose(ForkServerDied(f"what it says is not read: {error}"))

    def _receive(self, process: Process) -> bool:
        """Take in what a process says; return whether it may say more."""
        messages = process.line.receive()
        for message in messages or ():
            run = process.runs.get(message.get("run", 0))
            if "said" in message:
                self._tell(message["said"])
            elif "measured" in message:
                process.measured = message["measured"]
            elif run and "holds" in message:
                run.instance_id = message["holds"]
            elif run:
                self._over(run, Outcome(**message["ended"]))
        if messages is None and process.is_open:
            process.is_open = False  # its end is noticed
            self._selector.unregister(process.line.socket)
        return messages is not None

    def _tell(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a full disk, or nobody who reads, ends nothing
            self._say(text)

    def _notice(self, notices: list[tuple[bytes, int, int]]) -> None:
        for what, pid, status in notices:
            with self._lock:
                process = next((each for each in self._processes if each.pid == pid), None)
                if what in (FORKED, NOT_FORKED):
                    process = self._unnamed.popleft()
            if what == FORKED and process:
                process.pid = pid
            elif what == NOT_FORKED and process:
                self._not_forked(process, strerror(status))
            elif process:
                self._ended(process, f"signal {-status}" if status < 0 else f"status {status}")

    def _not_forked(self, process: Process, why: str) -> None:
        """Learn that there is no room for a process now: what was to run in it is tried again."""
        for run in self._remove(process):
            name = run.exchange.name
            logger.error("agent.not_forked exchange=%s error=%s", name, why)
            self._failed(run, NotForked(f"no process could be begun for {name}: {why}"))

    def _ended(self, process: Process, how: str) -> None:
        """Learn that a process has ended, whether or not anybody had asked it to."""
        while self._receive(process):
            pass
        runs = self._remove(process)
        if runs:
            names = ",".join(each.exchange.name for each in runs)
            logger.error("agent.process_died pid=%s how=%s exchanges=%s", process.pid, how, names)
        for run in runs:
            self._failed(
                run, ProcessDied(f"the process that ran {run.exchange.name} ended with {how}")
            )

    def _remove(self, process: Process) -> list[InProcess]:
        """Forget a process that is gone; return what was to run in it."""
        with self._lock:
            self._processes.remove(process)
            if process.is_open:
                process.is_open = False
                self._selector.unregister(process.line.socket)
            process.line.close()
            return list(process.runs.values())

    def _failed(self, run: InProcess, error: Temporary) -> None:
        """Say why a run is over that was not to be; its lock need not be waited for."""
        name, wait_seconds = run.exchange.name, run.order.wait_seconds
        self._tell(f"{name}: {error}")
        try:
            if run.instance_id:
                ExchangeLock(self._redis, run.exchange.pk).give_back(run.instance_id)
            TroubleReport(self._redis, run.exchange).ended(error, wait_seconds)
        except RedisError as failure:
            logger.warning("agent.lock_not_given_back exchange=%s error=%s", name, failure)
        self._over(run, Outcome(wait_seconds=wait_seconds))

    def _over(self, run: InProcess, outcome: Outcome) -> None:
        """Learn that a run is over; a process in which nothing is left ends."""
        with self._lock:
            process = run.process
            process.runs.pop(run.number, None)
            on_end = self._ends.pop(run.number)
            if not process.runs:
                process.leaving = True
                process.line.shut()
            run.end()
        on_end(outcome)

    def _lose(self, error: ForkServerDied) -> None:
        """Learn that nothing can be forked any more: nobody would notice what dies, so all ends."""
        logger.error("agent.fork_server_died error=%s", error)
        self._died = error
        with self._lock:
            left = list(self._processes)
            for process in left:
                process.line.shut()
        for process in left:
            self._receive_last(process)

    def _receive_last(self, process: Process) -> None:
        """Take in what a process says until it ends; then nothing runs in it."""
        try:
            while self._receive(process):
                pass
        except Exception:
            logger.exception("agent.not_listening")
            while process.line.receive() is not None:
                pass
        for run in list(process.runs.values()):
            run.end()
