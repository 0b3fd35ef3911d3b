"""Answers that no exchange gives: too long, too slow, or a lie about how long they are.

Each attack is a function of the bare socket, called when the request was read; it goes on until the
other side leaves.
"""

import base64
import functools
import gzip
import hashlib
import itertools
import socket
import threading
import time
import zlib
from contextlib import suppress

MEGABYTE = 1_000_000
BLOCK = b" " * MEGABYTE
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LONG = b"Content-Length: 1500000000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = b"Content-Encoding: gzip\r\n"
TRICKLE_SECONDS = 0.05


class Attacker:
    """A server that plays one attack with whoever connects; a context manager.

    `calls` are the times at which requests came. `attack` may be changed while it runs.
    """

    def __init__(self, attack, *, upgrades=False):
        """`upgrades`: the attack begins when a WebSocket is there."""
        self.attack = attack
        self._upgrades = upgrades
        self.calls = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._play, args=(client,), daemon=True).start()

    def _play(self, client):
        with suppress(OSError), client:
            client.settimeout(20)  # for the other side to take more, or leave
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                part = client.recv(4096)
                if not part:
                    return
                request += part
            self.calls.append(time.monotonic())
            if self._upgrades:
                client.sendall(upgraded(request))
            self.attack(client)


def upgraded(request):
    lines = [line.split(b": ", 1) for line in request.splitlines() if b": " in line]
    key = {name.lower(): value for name, value in lines}[b"sec-websocket-key"]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def pour(client, part=BLOCK):
    while True:
        client.sendall(part)


def trickle(client, text=b"x"):
    for octet in itertools.cycle(text):
        client.sendall(bytes([octet]))
        time.sleep(TRICKLE_SECONDS)


def then(*head, go_on=pour, **options):
    """Return an attack that says something, and then goes on without an end."""

    def attack(client):
        client.sendall(b"".join(head))
        go_on(client, **options)

    return attack


@functools.cache
def bomb():
    """Return gzip of some 1.5 GB: the same ten megabytes again and again, its end left out."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    begin = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * 10 * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin + 150 * block


def rest_attacks():
    """Return the attacks on a call over REST that are about length, by name."""
    member = gzip.compress(b" " * 10 * MEGABYTE)
    location = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\n"
    cookies = b"".join(b"Set-Cookie: a%d=%s\r\n" % (n, b"x" * 60_000) for n in range(90))
    return {
        "a body of 1.5 GB": then(OK, LONG),
        "a body without an end": then(OK, b"\r\n"),
        "a body of empty lists": then(OK, b"\r\n", b"[", go_on=pour, part=b"[]," * 100_000),
        "gzip of 1.5 GB": then(OK, PACKED, b"\r\n", bomb()),
        "gzip in gzip": then(OK, b"Content-Encoding: gzip, gzip\r\n\r\n", gzip.compress(bomb())),
        "150 gzips in a row": then(OK, PACKED, b"\r\n", 150 * member),
        "empty gzips in a row": then(OK, PACKED, b"\r\n", part=1000 * gzip.compress(b"")),
        "chunks without an end": then(OK, CHUNKED, part=b"f4240\r\n" + BLOCK + b"\r\n"),
        "tiny chunks without an end": then(OK, CHUNKED, part=b"1\r\n \r\n" * 10_000),
        "a chunk of 2^62 bytes": then(OK, CHUNKED, b"4000000000000000\r\n"),
        "a chunk of less than nothing": then(OK, CHUNKED, b"-1\r\n"),
        "a chunk's length without an end": then(OK, CHUNKED, part=b"0" * MEGABYTE),
        "a chunk's extension without an end": then(OK, CHUNKED, b"1;"),
        "trailers without an end": then(OK, CHUNKED, b"0\r\n", part=b"A: b\r\n" * 10_000),
        "headers without an end": then(OK, part=b"A: b\r\n" * 10_000),
        "one header without an end": then(OK, b"A: "),
        "continue, without an end": then(part=b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
        "no HTTP": then(part=b"x" * MEGABYTE),
        "an error's page of 1.5 GB": then(b"HTTP/1.1 500 No\r\n", LONG),
        "an error's page of gzip": then(b"HTTP/1.1 400 No\r\n", PACKED, b"\r\n", bomb()),
        "a firewall's page of 1.5 GB": then(b"HTTP/1.1 451 No\r\n", LONG),
        "a redirect with 1.5 GB": then(location, LONG),
        "a redirect with gzip of 1.5 GB": then(location, PACKED, b"\r\n", bomb()),
        "cookies": then(b"HTTP/1.1 404 No\r\n", cookies, b"Content-Length: 0\r\n\r\n", part=b" "),
    }


def slow_attacks():
    """Return the attacks on a call over REST that are about time, by name."""
    return {
        "a body, byte by byte": then(OK, LONG, go_on=trickle),
        "chunks, byte by byte": then(OK, CHUNKED, go_on=trickle, text=b"1\r\n \r\n"),
        "gzip, byte by byte": then(OK, PACKED, b"\r\n", go_on=trickle, text=bomb()[:5000]),
        "a status, byte by byte": then(go_on=trickle),
        "headers, byte by byte": then(OK, go_on=trickle, text=b"A: b\r\n"),
        "continue, byte by byte": then(go_on=trickle, text=b"HTTP/1.1 100 Continue\r\n\r\n"),
        "trailers, byte by byte": then(OK, CHUNKED, b"0\r\n", go_on=trickle, text=b"A: b\r\n"),
    }


def handshake_attacks():
    """Return the attacks on the handshake of a WebSocket, by name."""
    switching = b"HTTP/1.1 101 Switching Protocols\r\n"
    return {
        "headers without an end": then(switching, part=b"A: b\r\n" * 10_000),
        "one header without an end": then(switching, b"A: "),
        "no line's end": then(part=b"x" * MEGABYTE),
        "an error's page of 1.5 GB": then(b"HTTP/1.1 500 No\r\n", LONG),
        "an error's page, byte by byte": then(b"HTTP/1.1 403 No\r\n", LONG, go_on=trickle),
        "a status, byte by byte": then(go_on=trickle, text=b"HTTP/1.1 101 Switching"),
        "headers, byte by byte": then(switching, go_on=trickle, text=b"A: b\r\n"),
        "silence": then(go_on=lambda client: client.recv(1)),
    }


def stream_attacks():
    """Return the attacks on a WebSocket that are about length, by name."""
    quarter = b"\x00\x7f" + (MEGABYTE // 4).to_bytes(8) + BLOCK[: MEGABYTE // 4]
    return {
        "a frame of 300 MB": then(b"\x81\x7f" + (300 * MEGABYTE).to_bytes(8)),
        "a frame that claims 2^62 bytes": then(b"\x81\x7f" + (2**62).to_bytes(8)),
        "fragments without an end": then(b"\x01\x00", part=quarter),
        "tiny fragments without an end": then(b"\x01\x00", part=b"\x00\x01x" * 10_000),
        "pings without an end": then(part=b"\x89\x00" * 10_000),
        "pongs without an end": then(part=b"\x8a\x00" * 10_000),
        "compressed frames": then(b"\xc1\x7f" + (2**62).to_bytes(8)),
        "a goodbye without an end": then(b"\x88\x7f" + (2**62).to_bytes(8)),
        "empty lists": then(b"\x81\x7f" + (12 * MEGABYTE).to_bytes(8), part=b"[]," * 100_000),
    }


def slow_stream_attacks():
    """Return the attacks on a WebSocket that are about time, by name."""
    return {
        "a frame, byte by byte": then(b"\x81\x7f" + (10_000).to_bytes(8), go_on=trickle),
        "a frame's head, byte by byte": then(
            b"\x81", go_on=trickle, text=b"\x7f" + bytes(6) + b"\x0f\x0f"
        ),
        "fragments, byte by byte": then(b"\x01\x00", go_on=trickle, text=b"\x00\x01x"),
        "empty fragments": then(b"\x01\x00", part=b"\x00\x00"),
        "fragments and pings": then(b"\x01\x00", go_on=trickle, text=b"\x89\x00\x00\x01x"),
        "a ping, byte by byte": then(b"\x89\x7d", go_on=trickle),
    }
