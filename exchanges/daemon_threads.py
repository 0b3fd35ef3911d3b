"""Threads that end with the process: a call that hangs must not keep it alive, nor hold one up."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from django.db import connections

from exchanges.errors import Unreachable

Answer = TypeVar("Answer")

IDLE_SECONDS = 1.0


class Workers:
    """Up to `count` threads that do what is submitted, in that order; any thread submits.

    A thread ends when there was nothing to do for `idle_seconds`; when the last has ended `on_idle`
    is called in it. Unlike the library's pool nobody waits for them at the end, neither `close` nor
    the interpreter: what they write is fenced, and what they fetch nobody wants any more.
    """

    def __init__(
        self,
        count: int,
        name: str,
        *,
        idle_seconds: float = IDLE_SECONDS,
        on_idle: Callable[[], object] = lambda: None,
    ):
        self._jobs: deque[tuple[Future, Callable[..., Any], tuple]] = deque()
        self._there_is_work = threading.Condition()
        self._closed = False
        self._count = count
        self._name = name
        self._idle_seconds = idle_seconds
        self._on_idle = on_idle
        self._alive = self._resting = 0

    @property
    def busy(self) -> bool:
        """Tell whether anything is under way, or about to be."""
        with self._there_is_work:
            return bool(self._jobs) or self._alive > self._resting

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future:
        """Let a thread call `work`; return where its result will be.

        Raises RuntimeError where the system has no room for a single one.
        """
        future: Future = Future()
        with self._there_is_work:
            self._jobs.append((future, work, arguments))
            if len(self._jobs) > self._resting and self._alive < self._count:
                self._start()
            self._there_is_work.notify()
        return future

    def _start(self) -> None:
        """Start another thread; where the system has no room for it those that are there do all."""
        name = f"{self._name}-{self._alive}"
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:
            if not self._alive:
                self._jobs.pop()
                raise
        else:
            self._alive += 1

    def close(self) -> None:
        """Begin nothing more; returns at once."""
        with self._there_is_work:
            self._closed = True
            self._there_is_work.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for what is under way, once it was closed, but not for longer."""
        with self._there_is_work:
            self._there_is_work.wait_for(lambda: not self._alive, seconds)

    def _run(self) -> None:
        while job := self._next():
            future, work, arguments = job
            if self._closed or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                future.set_result(work(*arguments))
            except BaseException as error:  # the future's owner decides
                future.set_exception(error)
            del job, future, work, arguments  # what they hold may be large
        connections.close_all()  # those of this thread, which nobody could close after it

    def _next(self) -> tuple[Future, Callable[..., Any], tuple] | None:
        """Return what is to be done next, None where this thread is to end."""
        with self._there_is_work:
            ends_at = time.monotonic() + self._idle_seconds
            while not self._jobs:
                left = ends_at - time.monotonic()
                if self._closed or left <= 0:
                    self._alive -= 1
                    self._there_is_work.notify_all()
                    break
                self._resting += 1
                self._there_is_work.wait(left)
                self._resting -= 1
            else:
                return self._jobs.popleft()
            is_last = not self._alive
        if is_last:
            self._on_idle()
        return None


class NoAnswer(Unreachable):
    """It took longer than anybody should wait."""


def within(seconds: float, work: Callable[..., Answer], *arguments: Any) -> Answer:
    """Return what `work` returns, raise what it raises, or NoAnswer when it takes too long.

    It then goes on in a thread that nobody waits for.
    """
    workers = Workers(1, "within")
    future = workers.submit(work, *arguments)
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise  # its own
        raise NoAnswer(f"no answer within {seconds:g} s") from None
    finally:
        workers.close()
