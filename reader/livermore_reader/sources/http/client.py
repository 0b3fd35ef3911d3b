"""GET of JSON from `serve`, over connections that are kept open. Any number of threads may ask."""

import json
import os
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from livermore_reader.errors import BadRequest, Unavailable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 45.0  # serve fetches for 30 s at the most
LONGEST_WAIT_SECONDS = 20.0  # for leave to ask, where a client has asked too often
LONGEST_TEXT = 500
PORTS = {"http": 80, "https": 443}
REFUSED = (400, 401, 403, 404, 406)  # asking again helps nobody


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Where `serve` is; its text never has the token."""

    scheme: str
    host: str
    port: int
    path: str = field(default="", repr=False)  # before /v1/
    token: "str | None" = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, token: "str | None" = None) -> "HttpAddress":
        """Read an address, whose password is the token where none is given. Raises BadRequest."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
            raise BadRequest("the address of serve is one such as http://127.0.0.1:8010")
        token = token or unquote(parts.password or "") or None
        path = parts.path.rstrip("/")
        if not _is_plain(token or "") or not _is_plain(path):
            raise BadRequest("the token or the address holds a character that none has")
        return cls(parts.scheme, parts.hostname, port or PORTS[parts.scheme], path, token)

    def connect(self, seconds: float = ANSWER_SECONDS) -> HTTPConnection:
        """Open a connection that waits so long for each piece of an answer. Raises Unavailable."""
        made = HTTPSConnection if self.scheme == "https" else HTTPConnection
        connection = made(self.host, self.port, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self.unavailable(error) from None
        connection.sock.settimeout(seconds)
        return connection

    def headers(self) -> dict[str, str]:
        """Return what lets a request in."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def unavailable(self, error: Exception) -> Unavailable:
        """Return what is raised where nothing was answered."""
        if isinstance(error, TimeoutError):
            why = "it does not answer in time"
        elif isinstance(error, ssl.SSLError):
            why = f"there is no trusted TLS: {error.reason or 'it breaks off'}"
        else:
            why = getattr(error, "strerror", None) or type(error).__name__
        return Unavailable(f"{self} can't be read: {why}")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class HttpClient:
    """Asks `serve`."""

    def __init__(self, address: HttpAddress):
        self.address = address
        self._idle: deque[HTTPConnection] = deque()
        self._process = os.getpid()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Return what `/v1/{path}` tells; parameters that are None are left out.

        Raises BadRequest, Unavailable.
        """
        query = urlencode({name: each for name, each in params.items() if each is not None})
        target = f"{self.address.path}/v1/{path}?{query}"
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            status, seconds, body = self._ask(target)
            if status != 429 or not seconds or time.monotonic() + seconds > until:
                return self.content(status, body)
            time.sleep(seconds)

    def content(self, status: int, body: bytes) -> dict[str, Any]:
        """Return what an answer tells. Raises BadRequest, Unavailable for what it refuses."""
        try:
            content = json.loads(body)
        except ValueError:
            content = None
        if status == 200 and isinstance(content, dict):
            return content
        said = content.get("error") if isinstance(content, dict) else None
        if not isinstance(said, str):
            text = f"{self.address} answers {status}, and not as serve does: is that its address?"
            raise Unavailable(text)
        said = " ".join(said.split())[:LONGEST_TEXT]
        if status in (401, 403):
            raise BadRequest(f"{self.address} lets nobody in: {said}")
        if status in REFUSED:
            raise BadRequest(said)
        raise Unavailable(f"{self.address}: {said}")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _ask(self, target: str) -> tuple[int, int, bytes]:
        """Return status, in how many seconds to ask again, and body."""
        while True:
            connection, is_new = self._connection()
            try:
                connection.request("GET", target, headers=self.address.headers())
                response = connection.getresponse()
                body = response.read()
            except (OSError, HTTPException) as error:
                connection.close()
                if is_new or isinstance(error, TimeoutError):
                    raise self.address.unavailable(error) from None
                continue  # it was ended while nobody asked for anything
            except BaseException:
                connection.close()  # its answer would be taken for that to another request
                raise
            if not response.will_close:
                self._idle.append(connection)
            return response.status, _seconds(response.getheader("Retry-After")), body

    def _connection(self) -> tuple[HTTPConnection, bool]:
        """Return a connection that nobody else uses, and whether it is new."""
        if self._process != os.getpid():  # a fork has its parent's connections: they are none
            self._idle, self._process = deque(), os.getpid()
        try:
            return self._idle.pop(), False
        except IndexError:
            return self.address.connect(), True


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _seconds(text: "str | None") -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else 0
