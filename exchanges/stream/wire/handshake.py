"""The handshake of a WebSocket (RFC 6455, 4), over a socket that is open, within a time.

Nothing is offered, so nothing may be agreed on: no compression, no protocol. Of what is answered
no more than the status is told: it may be anybody's.
"""

import base64
import hashlib
import os
import re
import socket
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from exchanges.errors import Excessive, Unreachable

LONGEST_HEAD = 65_536
PIECE_BYTES = 4096
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([0-9]{3})(?: |\r?\n|$)")
END = re.compile(rb"\r?\n\r?\n")
UPGRADED, REDIRECTS = 101, range(300, 400)
UNAGREED = ("sec-websocket-extensions", "sec-websocket-protocol")


def shake_hands(sock: socket.socket, url: str, seconds: float, phrases: Mapping[int, str]) -> bytes:
    """Upgrade a socket; return what of the first frames has come already.

    `phrases` say what statuses mean: what is written beside them is not believed.

    Raises Unreachable where there is no WebSocket, Excessive where the answer has no end, OSError
    where the connection breaks off, TimeoutError among it.
    """
    ends_at = time.monotonic() + seconds
    key = base64.b64encode(os.urandom(16)).decode()
    sock.settimeout(seconds)
    sock.sendall(_request(url, key))
    head, rest = _head(sock, ends_at)
    status = STATUS_LINE.match(head)
    if not status:
        raise Unreachable("the exchange answered with something else than HTTP")
    if (code := int(status[1])) != UPGRADED:
        raise Unreachable(_refusal(code, phrases))
    if not _is_agreed(_headers(head), key):
        raise Unreachable("the exchange answered HTTP 101, but not with the WebSocket asked for")
    return rest


def _refusal(code: int, phrases: Mapping[int, str]) -> str:
    if code in REDIRECTS:
        return f"Redirect: the exchange answered HTTP {code} instead of a WebSocket"
    return f"Handshake status {code} {phrases.get(code, '')}".strip()


def _request(url: str, key: str) -> bytes:
    parts = urlsplit(url)
    lines = [
        f"GET {parts.path or '/'}{f'?{parts.query}' if parts.query else ''} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "User-Agent: livermore",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _head(sock: socket.socket, ends_at: float) -> tuple[bytes, bytes]:
    """Return the head of an answer, and what came behind it."""
    found = bytearray()
    while not (end := END.search(found, max(0, len(found) - PIECE_BYTES - 4))):
        if len(found) > LONGEST_HEAD:
            raise Excessive(f"the answer to the handshake was longer than {LONGEST_HEAD:,} bytes")
        left = ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out: the answer to the handshake was not whole in time")
        sock.settimeout(left)
        part = sock.recv(PIECE_BYTES)
        if not part:
            raise ConnectionError("the connection was closed during the handshake")
        found += part
    return bytes(found[: end.start()]), bytes(found[end.end() :])


def _headers(head: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        name, _, text = line.partition(":")
        name = name.strip().lower()
        found[name] = f"{found[name]},{text.strip()}" if name in found else text.strip()
    return found


def _is_agreed(headers: dict[str, str], key: str) -> bool:
    digest = hashlib.sha1(f"{key}{MAGIC}".encode(), usedforsecurity=False).digest()
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in re.split(r"\s*,\s*", headers.get("connection", "").lower())
        and headers.get("sec-websocket-accept") == base64.b64encode(digest).decode()
        and not any(map(headers.get, UNAGREED))
    )
