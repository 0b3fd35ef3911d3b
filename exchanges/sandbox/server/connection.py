"""One client's WebSocket, written in batches and never waited for."""

import asyncio
from collections import deque

from aiohttp import web

from exchanges.sandbox.server.stream_log import StreamCounts

TEXT, PING, PONG = 0x1, 0x9, 0xA
ABNORMAL = 1006  # what a client sees of a cut; never sent
POLICY = 1008


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Wrap a payload as a server's frame (RFC 6455, 5.2): whole and unmasked.

    The same bytes serve every client, so a frame is built once however many listen.
    """
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


class Connection:
    """What the server knows of one client, whichever protocol it speaks.

    Frames queue up and go out at `flush`, in one write. A client that doesn't read is cut as soon
    as more than `most_buffered` bytes wait for it: others never wait, and memory stays bounded.
    `now` arguments are seconds of this machine's monotonic clock.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        counts: StreamCounts,
        most_buffered: int,
        now: float,
    ):
        self.opened = self.last_sent = now
        self.streams: dict[str, None] = {}  # in the order they were asked for
        self.muted_until_ping = False  # sends nothing until the next ping
        self.silenced = False  # sends nothing while a scenario says so
        self.unserved = False  # gets none of what it subscribed while a scenario says so
        self.answers_pings = True
        self.leaving = False
        self.pings: dict[bytes, float] = {}  # those without their pong, and when they were sent
        self.last_ping = now
        self._socket, self._transport = socket, transport
        self._counts, self._most_buffered = counts, most_buffered
        self._queue: list[bytes] = []
        self._message_times: deque[float] = deque()
        self._closing: asyncio.Task | None = None

    def count_message(self, now: float) -> int:
        """Count one incoming message; return how many came within the last second."""
        times = self._message_times
        while times and times[0] <= now - 1:
            times.popleft()
        times.append(now)
        self._counts.message(len(times))
        return len(times)

    def send(self, payload: bytes) -> None:
        self._queue.append(frame(payload))

    def send_frame(self, built: bytes) -> None:
        """Queue what `frame` made: data, no answer."""
        if not self.unserved:
            self._queue.append(built)

    def flush(self, now: float) -> None:
        queue = self._queue
        if not queue:
            return
        self._queue = []
        if self.leaving or self.silenced or self.muted_until_ping or self._transport.is_closing():
            return
        self._counts.frames += len(queue)
        self.last_sent = now
        self._write(b"".join(queue))

    def ping(self, payload: bytes, now: float) -> None:
        """Ping, and end the silence after a message that was too long."""
        self.last_ping = now
        self.pings.setdefault(payload, now)
        self._write(frame(payload, PING))
        self.muted_until_ping = False

    def ponged(self, payload: bytes) -> None:
        """Note an answer; one that nothing was asked for proves nothing."""
        if payload in self.pings:
            self.pings.clear()

    def pong(self, payload: bytes) -> None:
        if self.answers_pings:
            self._write(frame(payload, PONG))

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; what is queued still goes out."""
        if not self.leaving and not self._transport.is_closing():
            self.flush(self.last_sent)
            self.leaving = True
            self._counts.closed[code] += 1
            message = reason.encode()
            self._closing = asyncio.ensure_future(self._socket.close(code=code, message=message))

    async def closed(self) -> None:
        """Wait for a closing handshake under way."""
        if self._closing is not None:
            await self._closing

    def cut(self) -> None:
        """End the TCP connection without a word."""
        if not self.leaving:
            self.leaving = True
            self._counts.closed[ABNORMAL] += 1
        self._transport.abort()

    def _write(self, octets: bytes) -> None:
        transport = self._transport
        if self.leaving or transport.is_closing():
            return
        transport.write(octets)
        if transport.get_write_buffer_size() > self._most_buffered:
            self._counts.too_slow += 1
            self.cut()
