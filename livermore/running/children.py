"""Child processes that end with their parent, and are started again when they die on their own."""

import contextlib
import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05
FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0
STEADY_SECONDS = 60.0  # a child that lived so long begins its backoff anew


class ChildError(Exception):
    """A child did not come up; the text says which one and where its log is."""


class Child:
    """A Python module as a process of its own session, its output in `log`.

    `arguments` begin with the module's name. It is up when `url` answers, whatever the status;
    one without a `url` is up as soon as it runs.
    """

    def __init__(self, name: str, arguments: list[str], url: str | None, log: Path, folder: Path):
        self.name = name
        self.url = url
        self.log = log
        self._arguments = arguments
        self._folder = folder
        self._process: subprocess.Popen | None = None
        self._started = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Raises OSError where it can't be, as while its Python is away."""
        self._started = time.monotonic()
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "livermore.running.run_child", *self._arguments],
                stdin=subprocess.PIPE,  # the child ends when the other end closes
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C must reach us alone, who end it in order
            )

    def wait_until_up(self) -> None:
        """Raises ChildError if it ends or stays silent instead."""
        deadline = time.monotonic() + START_SECONDS
        while self.url and not answers(self.url):
            if self._process.poll() is not None:
                raise ChildError(f"{self.name} ended at its start: {self.words()}")
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} does not answer at {self.url}: {self.words()}")
            time.sleep(POLL_SECONDS)

    def ended(self) -> int | None:
        """Return the exit status of a child that ended, None while it runs."""
        return self._process.poll() if self._process else None

    def seconds_alive(self) -> float:
        return time.monotonic() - self._started

    def words(self) -> str:
        """Return its last line and where the others are."""
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"{lines[-1].strip()} (its log is {self.log})"

    def ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic), then leave it no choice."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)  # the group: what it may have started ends with it
        self._process.wait()
        self._process.stdin.close()
        self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


class Children:
    """Several children: started in order, watched, ended together."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._children: list[Child] = []
        self._delays: dict[str, Iterator[float]] = {}
        self._restarts: dict[str, float] = {}  # name -> when, monotonic

    def start(self, child: Child) -> None:
        """Start a child and wait until it answers. Raises ChildError."""
        self._children.append(child)
        child.start()
        child.wait_until_up()

    def step(self, now: float) -> None:
        """Notice children that died, and start those again whose delay is over."""
        for child in self._children:
            due = self._restarts.get(child.name)
            if due is None and (status := child.ended()) is not None:
                how = f"by signal {-status}" if status < 0 else f"with status {status}"
                self._plan_restart(child, f"ended {how}", now)
            elif due is not None and now >= due:
                del self._restarts[child.name]
                child.end(now)
                self._start_again(child, now)

    def _start_again(self, child: Child, now: float) -> None:
        """Start it, or later: the others go on while an installation replaces its Python."""
        try:
            child.start()
        except OSError as error:
            self._plan_restart(child, f"can't be started ({error})", now)

    def _plan_restart(self, child: Child, what: str, now: float) -> None:
        if child.name not in self._delays or child.seconds_alive() > STEADY_SECONDS:
            self._delays[child.name] = backoff()
        delay = next(self._delays[child.name])
        self._restarts[child.name] = now + delay
        self._say(f"{child.name} {what}: started again in {delay:.0f} s; {child.words()}")

    def stop(self) -> None:
        """End all of them, newest first: TERM, and KILL for what is left after the grace."""
        with _signals_ignored():
            deadline = time.monotonic() + GRACE_SECONDS
            for child in reversed(self._children):
                child.ask_to_end()
            for child in reversed(self._children):
                child.end(deadline)
            self._children.clear()


def backoff() -> Iterator[float]:
    delay = FIRST_DELAY_SECONDS
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(LONGEST_DELAY_SECONDS, delay * 2)


def answers(url: str) -> bool:
    """Tell whether something speaks HTTP at `url`, whatever it says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, http.client.HTTPException):
        return False


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    """A second Ctrl-C must not leave half of the children behind; what follows is short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
