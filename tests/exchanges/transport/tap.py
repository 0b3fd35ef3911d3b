"""Between us and a server: passes all on, and keeps every byte that we sent."""

import base64
import re
import socket
import threading
from contextlib import contextmanager, suppress

TOKEN = re.compile(rb"eyJ[\w-]+\.[\w-]+")
END_OF_HEAD = b"\r\n\r\n"


class Tap:
    """A server that leads to another; `port` is where it listens."""

    def __init__(self, port):
        self._to = port
        self._sent = []  # of each connection, what came from us
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    @property
    def requests(self):
        """Return all that was sent over REST, and to open WebSockets, as it was."""
        return b"\n".join(bytes(sent) for sent in list(self._sent))

    @property
    def text(self):
        """Return all that was sent: as it was, WebSocket frames unmasked, tokens decoded."""
        parts = [part for sent in list(self._sent) for part in (bytes(sent), *frames_in(sent))]
        tokens = {token for part in parts for token in TOKEN.findall(part)}
        decoded = [decode(piece) for token in tokens for piece in token.split(b".")]
        return b"\n".join([*parts, *decoded]).decode("utf-8", "replace")

    def frames(self):
        """Return the text of all WebSocket frames that were sent."""
        return [frame.decode() for sent in list(self._sent) for frame in frames_in(sent)]

    def _accept(self):
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self._to))
                self._sent.append(kept := bytearray())
                for ends in ((ours, theirs, kept), (theirs, ours, None)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    @staticmethod
    def _pass_on(source, sink, kept):
        with suppress(OSError):
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def tapped(port):
    tap = Tap(port)
    try:
        yield tap
    finally:
        tap.close()


def frames_in(sent):
    """Yield the payload of each WebSocket frame of a connection, as RFC 6455, 5.2, masks it."""
    head, _, rest = bytes(sent).partition(END_OF_HEAD)
    if b"upgrade: websocket" not in head.lower():
        return
    while len(rest) >= 6:
        length, at = rest[1] & 127, 2
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(rest[2 : 2 + size]), 2 + size
        mask, payload = rest[at : at + 4], rest[at + 4 : at + 4 + length]
        yield bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
        rest = rest[at + 4 + length :]


def decode(piece):
    """Return what a part of a token says."""
    return base64.urlsafe_b64decode(piece + b"=" * (-len(piece) % 4))
