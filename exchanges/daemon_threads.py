"""Threads that end with the process: a call that hangs must not keep it alive, nor hold one up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from exchanges.errors import Unreachable

Answer = TypeVar("Answer")


class Workers:
    """Up to `count` threads that do what is submitted, in that order; one thread submits.

    Unlike the library's pool nobody waits for them at the end, neither `close` nor the
    interpreter: what they write is fenced, and what they fetch nobody wants any more.
    """

    def __init__(self, count: int, name: str):
        self._jobs: SimpleQueue[tuple[Future, Callable[..., Any], tuple] | None] = SimpleQueue()
        self._closed = False
        self._count = count
        self._name = name
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future:
        """Let a thread call `work`; return where its result will be."""
        future: Future = Future()
        self._jobs.put((future, work, arguments))
        if len(self._threads) < self._count:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """Begin nothing more; returns at once."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)

    def _run(self) -> None:
        while job := self._jobs.get():
            future, work, arguments = job
            if self._closed or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                future.set_result(work(*arguments))
            except BaseException as error:  # the future's owner decides
                future.set_exception(error)


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
