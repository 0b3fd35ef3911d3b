"""Several processes that serve at one address: begun anew where one dies, ended in order.

Each listens by itself (SO_REUSEPORT), so the system shares out who connects. They are forked of a
process that has everything imported, and end with the socket whose other end is here.
"""

import asyncio
import contextlib
import errno
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator

from warmup.processes.fork_server import ENDED, FORKED, NOT_FORKED, ForkServer, NotForked

logger = logging.getLogger(__name__)

LONGEST_LOOK_SECONDS = 0.5
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.2, 30.0
STEADY_SECONDS = 60.0  # one that lived so long begins its delays anew
SECONDS_TO_END = 12.0
SERVES = b"s"  # what a process says once it listens, and again and again
SECONDS_BETWEEN_SIGNS, SILENCE_SECONDS = 2.0, 30.0  # one that says nothing for so long is ended


class Process:
    """One of them, and when another one takes its place."""

    def __init__(self, number: int):
        self.number = number
        self.socket: socket.socket | None = None
        self.pid = 0
        self.serves = False
        self.said_at = 0.0
        self.begun_at = 0.0
        self.due_at = 0.0
        self.delay = FIRST_DELAY_SECONDS


class Processes:
    """Keeps `count` processes running. `serve` is called in each, with its end of the socket."""

    def __init__(self, count: int, serve: Callable[[socket.socket], None]):
        self._server = ForkServer(serve, "serve in one process (--workers 1)")
        self._processes = [Process(number) for number in range(1, count + 1)]
        self._unnamed: list[Process] = []  # in the order in which they were asked for
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server.socket, selectors.EVENT_READ)
        self._told = False

    def run(self, begun: Callable[[], object]) -> None:
        """Keep them running until this is interrupted; `begun` is called once when all serve.

        Raises ForkServerDied.
        """
        while True:
            now = time.monotonic()
            for each in self._processes:
                if each.socket is None and now >= each.due_at:
                    self._begin(each, now)
            self._look(LONGEST_LOOK_SECONDS)
            self._end_silent(time.monotonic())
            if not self._told and all(each.serves for each in self._processes):
                self._told = True
                begun()

    def close(self) -> None:
        """Let all of them end, and kill those that take too long."""
        deadline = time.monotonic() + SECONDS_TO_END
        alive = [each.socket for each in self._processes if each.socket]
        for end in alive:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)
        for end in alive:
            end.settimeout(max(0.01, deadline - time.monotonic()))
            with contextlib.suppress(OSError):
                while end.recv(16):
                    pass
            end.close()
        self._selector.close()
        self._server.close()

    def _begin(self, process: Process, now: float) -> None:
        process.begun_at, process.serves = now, False
        try:
            process.socket = self._server.fork()
        except NotForked as error:
            self._put_off(process, f"not forked: {error}")
            return
        self._unnamed.append(process)
        self._selector.register(process.socket, selectors.EVENT_READ, process)

    def _look(self, seconds: float) -> None:
        """Take in what there is to read."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._notice(self._server.notices())
            elif key.data.socket is key.fileobj:  # else its end was noticed in this very look
                self._receive(key.data)

    def _receive(self, process: Process) -> None:
        assert process.socket is not None
        try:
            said = process.socket.recv(16)
        except OSError:
            said = b""
        if said:
            process.serves, process.said_at = True, time.monotonic()
        else:  # how it ended is noticed
            self._selector.unregister(process.socket)

    def _end_silent(self, now: float) -> None:
        """End those that hang: who connects to one of them would wait for ever."""
        for process in self._processes:
            if process.serves and process.pid and now - process.said_at > SILENCE_SECONDS:
                process.serves = False
                logger.error("serving.process_hung number=%d pid=%d", process.number, process.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def _notice(self, notices: list[tuple[bytes, int, int]]) -> None:
        for what, pid, status in notices:
            if what == FORKED:
                self._unnamed.pop(0).pid = pid
            elif what == NOT_FORKED:
                self._ended(self._unnamed.pop(0), f"not forked: {os.strerror(status)}")
            elif what == ENDED:
                for process in self._processes:
                    if process.pid == pid:
                        how = f"signal {-status}" if status < 0 else f"status {status}"
                        self._ended(process, how)

    def _ended(self, process: Process, how: str) -> None:
        assert process.socket is not None
        with contextlib.suppress(KeyError):  # its end was not read yet
            self._selector.unregister(process.socket)
        process.socket.close()
        process.socket, process.pid = None, 0
        self._put_off(process, how)

    def _put_off(self, process: Process, how: str) -> None:
        """Have another one take its place after a while: the longer, the sooner it ended."""
        now = time.monotonic()
        if now - process.begun_at > STEADY_SECONDS:
            process.delay = FIRST_DELAY_SECONDS
        process.due_at = now + process.delay
        logger.error(
            "serving.process_died number=%d how=%s again_in=%.1f",
            *(process.number, how, process.delay),
        )
        process.delay = min(LONGEST_DELAY_SECONDS, 2 * process.delay)


async def say_serving(line: socket.socket) -> None:
    """Say by that socket that this process serves, for as long as it does."""
    line.setblocking(False)
    while True:
        with contextlib.suppress(OSError):  # it is being ended, or its parent stands still
            line.send(SERVES)
        await asyncio.sleep(SECONDS_BETWEEN_SIGNS)


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[None]:
    """Keep an address for processes of this one while none of them listens.

    Raises OSError where another program has it.
    """
    with contextlib.ExitStack() as kept:
        for where in _addresses(host, port):
            with _bound(where):  # without SO_REUSEPORT: it tells of any other
                pass
            kept.enter_context(_bound(where, socket.SO_REUSEPORT))  # nobody is sent to it
        yield


def _addresses(host: str, port: int) -> list:
    """Return all that a name leads to, less what this machine has not (IPv6 of `localhost`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    here = [each for each in dict.fromkeys(found) if _is_here(each)]
    return here or found[:1]


def _is_here(where: tuple) -> bool:
    try:
        with _bound((*where[:4], (where[4][0], 0, *where[4][2:]))):
            return True
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _bound(where: tuple, *options: int) -> socket.socket:
    """Return a socket that has an address and listens to nobody."""
    family, kind, protocol, _, address = where
    end = socket.socket(family, kind, protocol)
    try:
        for option in (socket.SO_REUSEADDR, *options):
            end.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        end.bind(address)
    except OSError:
        end.close()
        raise
    return end
