"""An answer over HTTP that doesn't end: its head is read at once, its content as it comes."""

import contextlib
import socket
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

from livermore_reader.sources.http.client import HttpAddress
from livermore_reader.sources.http.server_sent import Chunks

HEAD_SECONDS = 10.0
BYTES_AT_ONCE = 65_536
LONGEST_REFUSAL = 65_536


class _Head(HTTPResponse):
    """Takes no byte of the content from the socket, which may then be read with a timeout."""

    def __init__(self, sock: socket.socket, method: "str | None" = None):
        super().__init__(sock, method=method)
        self.fp.close()
        self.fp: Any = sock.makefile("rb", buffering=0)


class HttpStream:
    """What is answered to a GET. Any thread may close it."""

    def __init__(self, address: HttpAddress, target: str, headers: Mapping[str, str]):
        """Ask, and read the answer's head. Raises Unavailable."""
        self._address = address
        self._connection = address.connect(HEAD_SECONDS)
        self._socket: socket.socket = self._connection.sock
        try:
            self._connection.request("GET", target, headers={**address.headers(), **headers})
            self._head = _Head(self._socket, method="GET")
            self._head.begin()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | HTTPException):
                raise address.unavailable(error) from None
            raise
        self._chunks = Chunks() if self._head.chunked else None

    @property
    def status(self) -> int:
        return self._head.status

    def receive(self, seconds: float) -> "bytes | None":
        """Return what comes next, None where nothing does in time, b"" at the end.

        Raises Unavailable.
        """
        if self._chunks is not None and self._chunks.is_over:
            return b""  # the connection may be kept open
        try:
            self._socket.settimeout(max(seconds, 0.001))
            data = self._socket.recv(BYTES_AT_ONCE)
            if self._chunks is None or not data:
                return data
            content = self._chunks.feed(data)
        except (TimeoutError, BlockingIOError):
            return None
        except (OSError, ValueError) as error:
            raise self._address.unavailable(error) from None
        return content if content or self._chunks.is_over else None

    def refusal(self) -> bytes:
        """Return the content of an answer that ends. Raises Unavailable."""
        content, length = b"", self._head.length
        while length is None or len(content) < min(length, LONGEST_REFUSAL):
            part = self.receive(HEAD_SECONDS)
            if not part or len(content) > LONGEST_REFUSAL:
                break
            content += part
        return content

    def close(self) -> None:
        """End it: who waits for more is told that it is over."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        with contextlib.suppress(AttributeError):
            self._head.close()
