"""Hears closes as they are published, in a process of its own.

    python -m benchmarks.programs.listener SOCKET PATTERN

SOCKET is that of Redis. It prints `ready`; ended by TERM, how many ms each close was on its way
since its frame was sent: see `benchmarks.programs.kline_frames`.
"""

import socket
import sys
import time

import hiredis
import orjson

from livermore.command import SignalExit, ending_signals_raise

RECEIVE_BYTES = 1_048_576


def main(path: str, pattern: str) -> None:
    delays_ms: list[float] = []
    try:
        with ending_signals_raise(), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(f"PSUBSCRIBE {pattern}\r\n".encode())
            _listen(connection, delays_ms)
    except SignalExit:
        print(orjson.dumps(delays_ms).decode())


def _listen(connection: socket.socket, delays_ms: list[float]) -> None:
    reader = hiredis.Reader()
    while data := connection.recv(RECEIVE_BYTES):
        came_at = time.monotonic()
        reader.feed(data)
        while reply := reader.gets():
            if reply[0] == b"psubscribe":
                print("ready", flush=True)
            else:
                delays_ms.append(1000 * (came_at - orjson.loads(reply[-1])["volume"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
