"""One thread that reads many sockets, and sees to each when it is due."""

import logging
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import Protocol

logger = logging.getLogger(__name__)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Readable(Protocol):
    """What is read; all calls come from the reader's thread, and what they raise ends it.

    Where there can be no thread, `over` comes at once, from who gave it to the reader.
    """

    def fileno(self) -> int: ...

    @property
    def awaits(self) -> int:
        """Return what is waited for: READ, WRITE, both, or 0 for neither."""

    def ready(self, events: int) -> None:
        """Read what has come, or write what waits; never wait for either."""

    def look(self, now: float) -> float | None:
        """See to what is due, and return when to look again; None once it is over."""

    def over(self, error: Exception | None) -> None:
        """Learn that it is read no more, and what of its own ended it, if it did not by itself."""


class Reader:
    """Reads what it is given, in one thread, which lives as long as there is anything to read.

    Methods may be called from any thread, and return at once. Where the thread ends by an error,
    what it read is over with that, and what is added later is read by another one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: list[Readable] = []
        self._waker: socket.socket | None = None  # there while the thread is

    def add(self, readable: Readable) -> None:
        """Read this too, until it is over."""
        try:
            with self._lock:
                if self._waker is None:
                    self._waker = self._start()
                else:
                    self._wake(self._waker)
                self._new.append(readable)
        except Exception as error:
            logger.exception("reader.not_started")
            _end(readable, error)

    def _start(self) -> socket.socket:
        """Start the thread; return what wakes it."""
        waker, woken = socket.socketpair()
        try:
            waker.setblocking(False)
            woken.setblocking(False)
            thread = threading.Thread(target=self._run, args=[woken], name="reader", daemon=True)
            thread.start()
        except BaseException:
            waker.close()
            woken.close()
            raise
        return waker

    def wake(self) -> None:
        """Look at all of them at once: something has changed elsewhere."""
        with self._lock:
            if self._waker is not None:
                self._wake(self._waker)

    @staticmethod
    def _wake(waker: socket.socket) -> None:
        with suppress(BlockingIOError):  # so much that wakes is there already
            waker.send(b"\0")

    def _run(self, woken: socket.socket) -> None:
        due: dict[Readable, float] = {}
        with woken:
            try:
                with Round(woken) as round_:
                    due = round_.due
                    while self._take_new(round_):
                        round_.run()
            except Exception as error:
                left = [*due, *self._leave()]
                logger.exception("reader.died connections=%d", len(left))
                for readable in left:
                    _end(readable, error)

    def _leave(self) -> list[Readable]:
        """Let the next one that is added have another thread; return those that have none."""
        with self._lock:
            new, self._new = self._new, []
            if self._waker is not None:
                self._waker.close()
                self._waker = None
        return new

    def _take_new(self, round_: "Round") -> bool:
        """Let the new ones be read; return whether there are any at all, else the thread ends."""
        with self._lock:
            new, self._new = self._new, []
            if not (new or round_.due) and self._waker is not None:
                self._waker.close()
                self._waker = None
                return False
            round_.due |= dict.fromkeys(new, 0.0)  # each is with one of the two, whatever happens
        for each in new:
            round_.add(each)
        return True


class Round:
    """What is read now, and when each is due to be looked at. Used by one thread."""

    def __init__(self, woken: socket.socket):
        self.due: dict[Readable, float] = {}
        self._awaited: dict[Readable, int] = {}
        self._woken = woken
        self._selector = selectors.DefaultSelector()
        self._selector.register(woken, READ)

    def __enter__(self) -> "Round":
        return self

    def __exit__(self, *error: object) -> None:
        self._selector.close()

    def add(self, readable: Readable) -> None:
        """Read what is due already, but was not awaited yet."""
        self._awaited[readable] = 0
        self._try(readable, READ)  # behind encryption there may be what no selector tells of

    def run(self) -> None:
        """Wait until something comes, or is due, and see to it."""
        next_at = min(self.due.values(), default=0.0)
        for key, events in self._selector.select(max(0.0, next_at - time.monotonic())):
            if key.data is not None:
                self._try(key.data, events)
            else:
                self._drain()
                self.due |= dict.fromkeys(self.due, 0.0)
        now = time.monotonic()
        for readable in [each for each, at in self.due.items() if at <= now]:
            self._look(readable, now)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _try(self, readable: Readable, events: int) -> None:
        try:
            readable.ready(events)
            self._await(readable)
        except Exception as error:
            self._drop(readable, error)

    def _look(self, readable: Readable, now: float) -> None:
        try:
            next_at = readable.look(now)
            if next_at is None:
                self._drop(readable, None)
                return
            self.due[readable] = next_at
            self._await(readable)
        except Exception as error:
            self._drop(readable, error)

    def _await(self, readable: Readable) -> None:
        wanted, waited = readable.awaits, self._awaited[readable]
        if wanted == waited:
            return
        if not waited:
            self._selector.register(readable, wanted, readable)
        elif not wanted:
            self._selector.unregister(readable)
        else:
            self._selector.modify(readable, wanted, readable)
        self._awaited[readable] = wanted

    def _drop(self, readable: Readable, error: Exception | None) -> None:
        if self._awaited.pop(readable):
            with suppress(KeyError):  # it is not there, where waiting for something else failed
                self._selector.unregister(readable)
        del self.due[readable]
        _end(readable, error)


def _end(readable: Readable, error: Exception | None) -> None:
    try:
        readable.over(error)
    except Exception:
        logger.exception("reader.not_ended")
