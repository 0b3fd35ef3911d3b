"""A WebSocket that never waits: what has come is read, what is sent goes out as it is taken."""

import logging
import socket as sockets
import ssl
import time

from websocket import ABNF

from exchanges.errors import LivermoreError, Unreachable, clip
from exchanges.stream.wire.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frames,
)

logger = logging.getLogger(__name__)

RECEIVE_BYTES = 65_536
SEND_SECONDS = 5  # for the exchange to take what is sent
LONGEST_SENT = 65_535  # bytes
# Where an encrypted socket has nothing for us, or takes nothing, until the other end has spoken.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Why a WebSocket was closed, in our words (RFC 6455, 7.4.1, and IANA's registry).
CLOSE_PHRASES = {
    1000: "done",
    1001: "going away",
    1002: "protocol error",
    1003: "kind of data not accepted",
    1007: "data not understood",
    1008: "against its rules",
    1009: "message too long",
    1011: "fault of the server",
    1012: "the server starts anew",
    1013: "try again later",
    1014: "bad gateway",
}


class WebSocket:
    """Our end of a WebSocket, over a socket whose handshake is over (`handshake.shake_hands`).

    `controls` counts the frames that came without data. `fault` is what ended it, once all that
    came before was returned; nothing comes after. Where nothing can be sent any more, what has come
    is still received, and then that is the fault.
    """

    def __init__(self, sock: sockets.socket, begun: bytes = b""):
        """`begun` is what came behind the handshake."""
        sock.setblocking(False)
        self.sock = sock
        self.controls = 0
        self.fault: LivermoreError | None = None
        self._begun = begun
        self._frames = Frames()
        self._outgoing = bytearray()
        self._taken_at = 0.0  # when something of that was taken last, or all was
        self._unsent: Unreachable | None = None  # why nothing can be sent any more
        self._pong: bytes | None = None  # to the newest ping, while others' answers wait

    @property
    def is_within(self) -> bool:
        """Tell whether a part of a message is here, and not all of it."""
        return self._frames.is_within

    @property
    def is_sending(self) -> bool:
        """Tell whether something waits to be taken: call `flush` when the socket can."""
        return bool(self._outgoing)

    def receive(self) -> list[bytes]:
        """Return the messages that have come whole, oldest first; answer what is to be answered."""
        octets, self._begun = self._begun, b""
        octets += self._recv()
        found = self._frames.feed(octets)
        messages = []
        for opcode, payload in found:
            if opcode < CLOSE:
                messages.append(payload)
            elif self._control(opcode, payload):
                return messages
        self.fault = self._frames.fault or self.fault
        return messages

    def send(self, text: str) -> None:
        """Send a message, whole and after those before."""
        self._send(TEXT, text.encode())

    def ping(self) -> None:
        self._send(PING, b"")

    def flush(self) -> None:
        """Let the exchange take of what waits as much as it does now."""
        while self._outgoing:
            try:
                count = self.sock.send(self._outgoing)
            except NOT_NOW:
                return
            except OSError as error:
                self._unsent, self._taken_at = _broken_off(error), time.monotonic()
                self._outgoing, self._pong = bytearray(), None
                return
            self._taken_at = time.monotonic()
            del self._outgoing[:count]
        if self._pong is not None:
            payload, self._pong = self._pong, None
            self._send(PONG, payload)

    def check_sent(self, now: float) -> None:
        """Raise Unreachable where the exchange takes nothing, or nothing can be sent to it."""
        if now - self._taken_at <= SEND_SECONDS:
            return
        if self._unsent:
            raise self._unsent
        if self._outgoing:
            raise Unreachable(f"the exchange took nothing for {SEND_SECONDS} s")

    def close(self) -> None:
        self.sock.close()

    def _recv(self) -> bytes:
        try:
            octets = self.sock.recv(RECEIVE_BYTES)
        except NOT_NOW:
            self.fault = self._unsent
            return b""
        except OSError as error:
            self.fault = self._unsent or _broken_off(error)
            return b""
        if not octets:
            self.fault = Unreachable("the exchange cut the connection")
        return octets

    def _control(self, opcode: int, payload: bytes) -> bool:
        """Take a control frame; return whether it is the last one of all."""
        self.controls += 1
        if opcode == PING:
            self._answer(payload)
        elif opcode == CLOSE:
            self.fault = Unreachable(f"the exchange closed the connection: {_close_text(payload)}")
            self._send(CLOSE, (1000).to_bytes(2))
        return opcode == CLOSE

    def _answer(self, payload: bytes) -> None:
        """Answer a ping; while one waits to be taken only the newest is (RFC 6455, 5.5.3)."""
        if self._outgoing:
            self._pong = payload
        else:
            self._send(PONG, payload)

    def _send(self, opcode: int, payload: bytes) -> None:
        if self._unsent:
            return
        if not self._outgoing:
            self._taken_at = time.monotonic()
        self._outgoing += frame(opcode, payload)
        self.flush()


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame, masked as those of clients are (RFC 6455, 5.3)."""
    if len(payload) > LONGEST_SENT:
        raise ValueError(f"a message of {len(payload):,} bytes, and no exchange takes one")
    return ABNF.create_frame(payload, opcode).format()


def _broken_off(error: OSError) -> Unreachable:
    return Unreachable(clip(str(error)) or type(error).__name__)


def _close_text(payload: bytes) -> str:
    code = int.from_bytes(payload[:2]) if len(payload) >= 2 else 0
    if words := payload[2:]:
        logger.debug("websocket.closed code=%d text=%s", code, clip(words))
    return f"{code} {CLOSE_PHRASES.get(code, '')}".strip()
