"""WebSocket clients that read what is streamed to them, all in one process.

    python -m benchmarks.programs.socket_readers PORT FILE

FILE has the path of each client's connection a line. It prints `ready` when all are open; ended by
TERM, how many ms each close was on its way: its volume is the monotonic time at which it was
written. What comes is looked at in the end, so that one close doesn't wait for another.
"""

import base64
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from livermore.command import SignalExit, ending_signals_raise

RECEIVE_BYTES = 1 << 18
CLOSED = re.compile(rb'"v":"([0-9.]+)".*"x":true')
UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)

Chunks = list[tuple[float, bytes]]  # when each came


def main(port: str, file: str) -> None:
    received: list[Chunks] = []
    try:
        with ending_signals_raise(), selectors.DefaultSelector() as ready:
            for path in Path(file).read_bytes().split():
                received.append([])
                ready.register(opened(int(port), path), selectors.EVENT_READ, received[-1])
            print("ready", flush=True)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(RECEIVE_BYTES)
                    if not data:
                        ready.unregister(key.fileobj)
                    key.data.append((time.monotonic(), data))
    except SignalExit:
        print(orjson.dumps([each for chunks in received for each in delays_ms(chunks)]).decode())


def opened(port: int, path: bytes) -> socket.socket:
    """Return a connection that was upgraded. Raises AssertionError where it is not."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(UPGRADE % (path, base64.b64encode(b"0" * 16)))
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # one by one: what follows is a frame
        octet = client.recv(1)
        assert octet, f"refused: {head.decode()}"
        head += octet
    assert head.startswith(b"HTTP/1.1 101"), f"refused: {head.decode()}"
    return client


def delays_ms(chunks: Chunks) -> Iterator[float]:
    """Yield how long each close was on its way."""
    for came_at, payload in messages(chunks):
        if found := CLOSED.search(payload):
            yield 1000 * (came_at - float(found[1]))


def messages(chunks: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """Yield the payload of each frame of a server, and when it was whole (RFC 6455, 5.2)."""
    left = b""
    for came_at, data in chunks:
        left += data
        at = 0
        while frame := _frame(left, at):
            start, end = frame
            yield came_at, left[start:end]
            at = end
        left = left[at:]


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the payload of a frame begins and ends, None where it is not whole."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, start = int.from_bytes(data[start : start + width], "big"), start + width
    end = start + size
    return (start, end) if len(data) >= end else None


if __name__ == "__main__":
    main(*sys.argv[1:])
