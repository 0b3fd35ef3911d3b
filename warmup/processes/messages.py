"""What an agent and the processes that run its exchanges say to each other: JSON, a line each."""

import contextlib
import socket
import threading
from typing import Any

import orjson

MOST_AT_ONCE = 65_536


class Line:
    """One end of a socket on which both sides say something. Any thread may say, one receives."""

    def __init__(self, end: socket.socket):
        self.socket = end
        self._sending = threading.Lock()
        self._read = b""

    def send(self, **message: Any) -> None:
        """Send something; what nobody is there to receive is lost."""
        with self._sending, contextlib.suppress(OSError):
            self.socket.sendall(orjson.dumps(message) + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """Return what was said, once there is something to read; None where nobody is there."""
        try:
            found = self.socket.recv(MOST_AT_ONCE)
        except OSError:
            return None
        if not found:
            return None
        *lines, self._read = (self._read + found).split(b"\n")
        return [orjson.loads(line) for line in lines]

    def shut(self) -> None:
        """Say nothing more: whoever receives on the other side learns that nobody is there."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()
