"""Bytes as no client library would send them, and what comes back."""

import re
import socket
import threading
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """An HTTP answer: status, headers by their names in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(url, seconds=10):
    """Open a connection to a server."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=seconds)


def request(target, *headers, method=b"GET"):
    """Return the bytes of a request; it may be asked for whatever bytes."""
    target = target if isinstance(target, bytes) else target.encode()
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def read_answer(stream):
    """Return the next answer of a connection's file, None where that has ended."""
    status = stream.readline()
    if not status:
        return None
    headers = {"connection": "close"} if status.startswith(b"HTTP/1.0") else {}
    while (line := stream.readline()).strip():
        name, _, value = line.decode("latin1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Answer(int(status.split()[1]), headers, stream.read(int(headers["content-length"])))


class Asking:
    """Sends one request after the other, on one connection while that is left open."""

    def __init__(self, url):
        self._url = url
        self._connect()

    def ask(self, target):
        self._connection.sendall(request(target))
        found = read_answer(self._stream)
        if found.headers.get("connection") == "close":
            self._connect()
        return found

    def _connect(self):
        self._connection = connect(self._url, 20)
        self._stream = self._connection.makefile("rb")


def answers(url, sent):
    """Return all answers to some bytes, as many as the server makes of them."""
    with connect(url) as connection:
        connection.sendall(sent + request("/metrics", b"Connection: close"))
        with connection.makefile("rb") as stream:
            found = list(iter(lambda: read_answer(stream), None))
    # The last one is that of the request behind them, where the connection has come so far.
    return found[:-1] if len(found) > 1 else found


def ask(url, target, *headers):
    """Return the answer to one request."""
    with connect(url) as connection:
        connection.sendall(request(target, *headers))
        with connection.makefile("rb") as stream:
            return read_answer(stream)


def is_one_line(text):
    """Tell whether a text is one that a log or a terminal shows as it is."""
    return isinstance(text, str) and bool(text) and not re.search(r"[\x00-\x1f\x7f]", text)


@contextmanager
def saying(answer):
    """Serve these bytes to whatever is asked; yield the address, and the heads that came."""
    heads = []

    def serve():
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with client, suppress(OSError):
                    head = b""
                    while b"\r\n\r\n" not in head and (more := client.recv(65_536)):
                        head += more
                    heads.append(head)
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", heads
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)
