"""Asks an HTTP server of this machine, in a process of its own, and does little else.

    python -m benchmarks.programs.http_load PORT FILE CONNECTIONS flat SECONDS
    python -m benchmarks.programs.http_load PORT FILE CONNECTIONS paced SECONDS PER_SECOND
    python -m benchmarks.programs.http_load PORT FILE CONNECTIONS once

FILE has a path a line; connections are kept. `flat`: each asks for the next path as soon as it has
an answer. `paced`: so many are asked for in a second, whatever becomes of those before; one takes
from when it was due, also where no connection was free then. `once`: each asks for all of them, in
an order of its own; what is answered with 503 or 429 it asks for again when the answer says so.

It prints a line of JSON: how many answers of which status, how long they took, and what this
process has used up itself.
"""

import random
import re
import selectors
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import orjson

RECEIVE_BYTES = 1 << 20
HEAD_BYTES = 2048  # no answer has a longer one
SECONDS_FOR_THE_LAST = 10.0
LONGEST_SECONDS = 120.0
BUSY = (429, 503)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


class Connection:
    """A connection with one request under way at a time."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head: bytes | None = None  # until it is whole
        self._left = 0
        self.due = 0.0
        self.path = b""
        self.status = self.octets = self.retry_seconds = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, path: bytes, due: float) -> None:
        self.path, self.due, self._head, self.octets = path, due, b"", 0
        self._socket.sendall(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path)

    def receive(self, buffer: memoryview) -> bool:
        """Take what is there; tell whether the answer is whole."""
        count = self._socket.recv_into(buffer)
        if not count:
            raise ConnectionError(f"the server closed it, asked for {self.path.decode()}")
        self.octets += count
        if self._head is None:
            self._left -= count
        else:
            self._head += bytes(buffer[: min(count, HEAD_BYTES)])
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._read_head(self._head[: end + 2])
            self._left = self._length - (self.octets - end - 4)
            self._head = None
        return self._left <= 0

    def _read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        length, retry = LENGTH.search(head), RETRY.search(head)
        self._length = int(length[1]) if length else 0
        self.retry_seconds = int(retry[1]) if retry else 1


class Load:
    """Some connections, and what became of their requests."""

    def __init__(self, port: int, connections: int):
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._connections = [Connection(port) for _ in range(connections)]
        self._selector = selectors.SelectSelector()  # others wait for whole milliseconds
        for each in self._connections:
            self._selector.register(each, selectors.EVENT_READ, each)
        self._delays_ms: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._octets = 0
        self._began = time.monotonic()
        self._used = time.process_time()

    def flat(self, paths: Sequence[bytes], seconds: float) -> None:
        following = cycle(paths)
        for each in self._connections:
            each.ask(next(following), time.monotonic())
        while time.monotonic() < self._began + seconds:
            for connection in self._answered(1.0):
                connection.ask(next(following), time.monotonic())

    def paced(self, paths: Sequence[bytes], seconds: float, per_second: float) -> None:
        following, idle = cycle(paths), list(self._connections)
        waiting: deque[float] = deque()
        count, sent = int(seconds * per_second), 0
        deadline = self._began + seconds + SECONDS_FOR_THE_LAST
        while sum(self._statuses.values()) < count and time.monotonic() < deadline:
            now = time.monotonic()
            while sent < count and (due := self._began + sent / per_second) <= now:
                waiting.append(due)
                sent += 1
            while waiting and idle:
                idle.pop().ask(next(following), waiting.popleft())
            until = self._began + sent / per_second if sent < count else now + 1
            idle += self._answered(max(0.0, until - time.monotonic()))

    def once(self, paths: Sequence[bytes]) -> None:
        left = {
            each: deque(random.Random(number).sample(paths, len(paths)))
            for number, each in enumerate(self._connections)
        }
        due = [(self._began, each) for each in self._connections]
        deadline = self._began + LONGEST_SECONDS
        while any(left.values()) and (now := time.monotonic()) < deadline:
            ready = [each for when, each in due if when <= now]
            due = [(when, each) for when, each in due if when > now]
            for connection in ready:
                connection.ask(left[connection][0], time.monotonic())
            for connection in self._answered(0.01 if due else 1.0):
                if connection.status in BUSY:
                    due.append((time.monotonic() + connection.retry_seconds, connection))
                    continue
                left[connection].popleft()
                if left[connection]:
                    due.append((0.0, connection))

    def found(self) -> dict:
        """Return what became of all of them."""
        used, seconds = time.process_time() - self._used, time.monotonic() - self._began
        delays = sorted(self._delays_ms) or [0.0]
        answers = max(1, len(self._delays_ms))
        return {
            "perSecond": len(self._delays_ms) / seconds,
            "seconds": seconds,
            "statuses": {str(status): count for status, count in self._statuses.items()},
            "octets": self._octets / answers,
            "p50": delays[len(delays) // 2],
            "p99": delays[int(0.99 * (len(delays) - 1))],
            "slowest": delays[-1],
            "ownMicros": 1e6 * used / answers,
            "ownShare": used / seconds,
        }

    def _answered(self, seconds: float) -> Iterator[Connection]:
        """Return the connections that have an answer within so many seconds."""
        found = []
        for key, _ in self._selector.select(seconds):
            connection: Connection = key.data
            if connection.receive(self._buffer):
                self._delays_ms.append(1000 * (time.monotonic() - connection.due))
                self._statuses[connection.status] += 1
                self._octets += connection.octets
                found.append(connection)
        return iter(found)


def main(port: str, file: str, connections: str, how: str, *numbers: str) -> None:
    load = Load(int(port), int(connections))
    paths = Path(file).read_bytes().split()
    {"flat": load.flat, "paced": load.paced, "once": load.once}[how](paths, *map(float, numbers))
    print(orjson.dumps(load.found()).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
