"""A process that has everything imported and nothing open, and forks others that begin there.

What all of them have imported is in memory once. It is forked itself of whoever needs it, before
that one opens connections or starts threads: so it has neither, and what it forks inherits none.
"""

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from exchanges.errors import Temporary

FORKED, ENDED, NOT_FORKED = b"f", b"e", b"n"
FORK, KILL = b"F", b"K"
# What, which process, and with which status it ended; of one that was not forked why, by errno.
NOTICE = struct.Struct("!cqq")
GONE = (errno.EPIPE, errno.ECONNRESET, errno.EBADF)  # of the socket to the one that forks
GRACE_SECONDS = 5.0
Target = Callable[[socket.socket], None]


class ForkServerDied(Exception):
    """Nothing can be forked any more."""


class NotForked(Temporary):
    """The system has no room for another process, or for the socket to it."""


class ForkServer:
    """The side of whoever lets processes be forked. Each calls `target` with its end of a socket.

    That socket's other end is in this process alone, so it ends with it; by then the others have
    `GRACE_SECONDS` to end, and are killed.
    """

    def __init__(self, target: Target, instead: str):
        """Fork the process that forks others. Raises NotForked, which says what to do `instead`."""
        gc.collect()
        gc.freeze()  # a collection writes to what it looks at, and what is written to is copied
        _flush()
        try:
            self.socket, theirs = socket.socketpair()
            self._pid = os.fork()
        except OSError as error:
            text = "there is no room for the process that forks others; make some, or"
            raise NotForked(f"{text} {instead}: {error.strerror}") from error
        if not self._pid:
            self.socket.close()
            _end_with(_Server(theirs, target).run)
        theirs.close()
        self._read = b""

    def fork(self) -> socket.socket:
        """Let a process be forked; return the socket to it. Its number comes as a notice.

        Raises NotForked where nothing was asked of the one that forks, and ForkServerDied.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise NotForked(f"no socket to another process: {error}") from error
        try:
            with theirs:
                socket.send_fds(self.socket, [FORK], [theirs.fileno()])
        except OSError as error:
            ours.close()
            if error.errno in GONE:
                raise ForkServerDied(str(error)) from error
            raise NotForked(f"no socket to another process: {error}") from error
        return ours

    def notices(self) -> list[tuple[bytes, int, int]]:
        """Return what there is to read: what became of each that was to be forked, in that order.

        FORKED has its number, NOT_FORKED 0 and the errno; ENDED its number and its exit status, a
        signal where that is below 0. Raises ForkServerDied.
        """
        try:
            found = self.socket.recv(65_536)
        except OSError as error:
            raise ForkServerDied(str(error)) from error
        if not found:
            raise ForkServerDied("it has ended")
        self._read += found
        whole = len(self._read) - len(self._read) % NOTICE.size
        notices, self._read = self._read[:whole], self._read[whole:]
        return list(NOTICE.iter_unpack(notices))

    def close(self) -> None:
        """Kill what is left, and wait for all to be gone."""
        with contextlib.suppress(OSError):
            self.socket.sendall(KILL)
        self.socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class _Server:
    """The forked one: it reads which to fork, and says which ended."""

    def __init__(self, client: socket.socket, target: Target):
        self._client = client
        self._target = target
        self._alive: set[int] = set()
        self._woken, self._wakes = socket.socketpair()

    def run(self) -> None:
        # Whoever ends the group of processes means the one that ends us in order.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._woken.setblocking(False)
        self._wakes.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        _read_nothing()
        while self._step():
            pass
        self._end_all()

    def _step(self) -> bool:
        """Do what there is to do; return whether anybody is there to do it for."""
        ready, _, _ = select.select([self._client, self._woken], [], [])
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        for pid, status in self._reaped():
            self._tell(ENDED, pid, os.waitstatus_to_exitcode(status))
        return self._client not in ready or self._obey()

    def _obey(self) -> bool:
        try:
            orders, descriptors, _, _ = socket.recv_fds(self._client, 1, 1)
        except ConnectionResetError:  # it is gone, and had not read all that it was told
            return False
        if orders == KILL:
            self._kill_all()
        elif orders == FORK and descriptors:
            self._fork(descriptors[0])
        elif orders == FORK:  # the system drops those for which a process has no room
            self._tell(NOT_FORKED, 0, errno.EMFILE)
        return bool(orders)

    def _fork(self, descriptor: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # no room for another one now
            os.close(descriptor)
            self._tell(NOT_FORKED, 0, error.errno or 0)
            return
        if not pid:
            _end_with(lambda: self._become(descriptor))
        os.close(descriptor)
        self._alive.add(pid)
        self._tell(FORKED, pid, 0)

    def _become(self, descriptor: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._client, self._woken, self._wakes):
            each.close()
        self._target(socket.socket(fileno=descriptor))

    def _tell(self, what: bytes, pid: int, status: int) -> None:
        with contextlib.suppress(OSError):  # who is gone is noticed at the next step
            self._client.sendall(NOTICE.pack(what, pid, status))

    def _reaped(self) -> list[tuple[int, int]]:
        found = []
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._alive.discard(ended[0])
                found.append(ended)
        return found

    def _end_all(self) -> None:
        """Wait for those that end with their sockets, kill the others."""
        deadline = time.monotonic() + GRACE_SECONDS
        while self._alive and time.monotonic() < deadline:
            time.sleep(0.02)
            self._reaped()
        self._kill_all()

    def _kill_all(self) -> None:
        for pid in self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _end_with(work: Callable[[], None]) -> NoReturn:
    """Do the work of a process that was forked, and end it without what the others do at their end.

    What is registered to be done then, and what is on the stack, is theirs.
    """
    status = 1
    try:
        work()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            _flush()
        os._exit(status)


def _flush() -> None:
    """Write what is buffered: what is forked would write it again."""
    sys.stdout.flush()
    sys.stderr.flush()


def _read_nothing() -> None:
    """Leave standard input to the process that was started with it."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
