"""Receives closes as readers do, in a process of its own.

    python -m benchmarks.programs.listener SOCKET channels PATTERN
    python -m benchmarks.programs.listener SOCKET events KEY

SOCKET is that of Redis; closes are heard on the channels of a pattern, or read of a stream. It
prints `ready`; ended by TERM, how many ms each close was on its way since its frame was sent: see
`benchmarks.programs.kline_frames`. What comes is looked at in the end, so that the last of many
closes don't wait for the first.
"""

import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import hiredis
import orjson

from livermore.command import SignalExit, ending_signals_raise

RECEIVE_BYTES = 1_048_576

Received = list[tuple[float, Any]]  # when, and what


def main(path: str, how: str, name: str) -> None:
    received: Received = []
    read, messages = (_subscribe, _messages) if how == "channels" else (_read, _entries)
    try:
        with ending_signals_raise(), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            read(connection, name, received)
    except SignalExit:
        delays_ms = [
            1000 * (came_at - orjson.loads(message)["volume"])
            for came_at, reply in received
            for message in messages(reply)
        ]
        print(orjson.dumps(delays_ms).decode())


def _subscribe(connection: socket.socket, pattern: str, received: Received) -> None:
    connection.sendall(f"PSUBSCRIBE {pattern}\r\n".encode())
    for came_at, reply in _replies(connection):
        if reply[0] == b"psubscribe":
            print("ready", flush=True)
        else:
            received.append((came_at, reply))


def _messages(reply: Any) -> Iterator[bytes]:
    yield reply[-1]


def _read(connection: socket.socket, key: str, received: Received) -> None:
    def ask(after: str) -> None:
        connection.sendall(f"XREAD BLOCK 0 STREAMS {key} {after}\r\n".encode())

    ask("0-0")
    print("ready", flush=True)
    for came_at, reply in _replies(connection):
        ask(reply[0][1][-1][0].decode())
        received.append((came_at, reply))


def _entries(reply: Any) -> Iterator[bytes]:
    for _, (_, message) in reply[0][1]:
        yield message


def _replies(connection: socket.socket) -> Iterator[tuple[float, Any]]:
    reader = hiredis.Reader()
    while data := connection.recv(RECEIVE_BYTES):
        came_at = time.monotonic()
        reader.feed(data)
        while reply := reader.gets():
            yield came_at, reply


if __name__ == "__main__":
    main(*sys.argv[1:])
