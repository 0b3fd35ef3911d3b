"""A WebSocket whose messages are read here, and bounded."""

import socket as sockets
import time
from collections import deque
from http import HTTPStatus
from typing import Any

import websocket

from exchanges.errors import Unreachable
from exchanges.stream.wire.frames import BINARY, CLOSE, PING, TEXT, Frames, Message
from exchanges.stream.wire.handshake import shake_hands

RECEIVE_BYTES = 65_536
SEND_SECONDS = 5  # for the exchange to take a message of ours
PHRASES = {each.value: each.phrase for each in HTTPStatus}


class BufferedWebSocket(websocket.WebSocket):
    """The library's socket, for what is sent; what comes is read here, and bounded.

    It is read 64 KB at a time: the library would read each header by itself, and knows no end of a
    frame, of a message or of the time that one takes. `until` (monotonic) is how long `recv_data`
    goes on, whatever trickles in.
    """

    sock: Any  # there from `begin` on

    def __init__(self, **options):
        super().__init__(skip_utf8_validation=True, **options)
        self.until = float("inf")
        self._frames = Frames()
        self._waiting: deque[Message] = deque()

    def begin(self, sock: sockets.socket, url: str, seconds: float) -> None:
        """Make a WebSocket of an open socket, or close it."""
        try:
            self._waiting += self._frames.feed(shake_hands(sock, url, seconds, PHRASES))
        except BaseException:
            sock.close()
            raise
        self.sock, self.connected = sock, True

    @property
    def wire(self) -> sockets.socket:
        """Return the open socket below it; Unreachable where it is closed."""
        if self.sock is None:
            raise Unreachable("the WebSocket is closed")
        return self.sock

    @property
    def is_within(self) -> bool:
        """Tell whether a part of a message is here, and not all of it."""
        return self._frames.is_within

    def recv_data(self, control_frame: bool = False) -> Message:
        """Return the next message; answer pings, and return control frames too if wished for.

        Raises WebSocketTimeoutException where none is whole in time.
        """
        while True:
            while self._waiting:
                opcode, payload = self._waiting.popleft()
                if opcode == PING:
                    self.pong(payload)
                elif opcode == CLOSE:
                    self.send_close()
                if control_frame or opcode in (TEXT, BINARY, CLOSE):
                    return opcode, payload
            if self._frames.fault:
                raise self._frames.fault
            if time.monotonic() > self.until:
                raise websocket.WebSocketTimeoutException("not whole in time")
            self._waiting += self._frames.feed(self._recv(RECEIVE_BYTES))

    def recv_texts(self) -> list[bytes]:
        """Return the text messages that have come whole already; the socket is not asked."""
        found = []
        while self._waiting and self._waiting[0][0] == TEXT:
            found.append(self._waiting.popleft()[1])
        return found

    def send_frame(self, frame: websocket.ABNF) -> int:
        """Send a frame whole, or raise Unreachable: half a frame would spoil those after it."""
        octets, wire = frame.format(), self.wire
        usual = wire.gettimeout()
        wire.settimeout(SEND_SECONDS)
        try:
            wire.sendall(octets)
        except TimeoutError:
            raise Unreachable(f"the exchange took nothing for {SEND_SECONDS} s") from None
        finally:
            wire.settimeout(usual)
        return len(octets)
