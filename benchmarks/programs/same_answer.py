"""Gives every request the same answer, made beforehand: what a client and the system cost alone.

    python -m benchmarks.programs.same_answer FILE

FILE has the body. It prints its port.
"""

import selectors
import socket
import sys
from pathlib import Path

RECEIVE_BYTES = 65_536
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def main(file: str) -> None:
    body = Path(file).read_bytes()
    answer = HEAD % len(body) + body
    with socket.create_server(("127.0.0.1", 0)) as server, selectors.DefaultSelector() as ready:
        ready.register(server, selectors.EVENT_READ)
        print(server.getsockname()[1], flush=True)
        while True:
            for key, _ in ready.select():
                if key.fileobj is server:
                    ready.register(server.accept()[0], selectors.EVENT_READ)
                else:
                    _answer(key.fileobj, answer, ready)


def _answer(client: socket.socket, answer: bytes, ready: selectors.BaseSelector) -> None:
    try:
        if client.recv(RECEIVE_BYTES):
            client.sendall(answer)
            return
    except OSError:
        pass
    ready.unregister(client)
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
