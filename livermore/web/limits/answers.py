"""What the web server has answered and nobody has read yet: how much, for how long.

Twisted takes whatever it is given to send and keeps it until the client reads. Here a connection
is given a piece at a time, what waits is counted over all connections, and who makes it (Django,
that serves a file) waits meanwhile.
"""

import asyncio
import contextlib
import logging
import socket
from collections import deque

from twisted.internet import reactor

logger = logging.getLogger(__name__)

PIECE_BYTES = 64 * 1024  # that a connection is given at a time
ROOM_BYTES = 64 * 1024  # that may wait of one answer, before whoever makes it has to wait
ALL_BYTES = 16 * 1024 * 1024  # that may wait to be read, of all connections
SECONDS_BETWEEN_COMPLAINTS = 60.0


class UnreadConnections:
    """All connections that have something to read, the one that has not read for longest first."""

    def __init__(self):
        self.bytes = 0
        self._answers = {}  # as a set that keeps the order
        self._complain_at = 0.0

    def add(self, answers, size):
        """Count what an answer brings; give up others where it is too much."""
        self.bytes += size
        self._answers.setdefault(answers)
        while self.bytes > ALL_BYTES and self._answers:
            self._complain()
            next(iter(self._answers)).give_up()

    def take(self, answers, size):
        """Count what a connection has taken."""
        self.bytes -= size
        self._answers.pop(answers, None)
        if answers.bytes:
            self._answers[answers] = None

    def _complain(self):
        now = reactor.seconds()
        if now >= self._complain_at:
            logger.warning("web.unread bytes=%d connections=%d", self.bytes, len(self._answers))
            self._complain_at = now + SECONDS_BETWEEN_COMPLAINTS


class AnswerProducer:
    """What one connection was answered, given to it piece by piece: a pull producer of Twisted's.

    `on_move` is called when it has read something, `on_read` when it has read all. It is cut off
    when it takes nothing for `timeout` seconds.
    """

    def __init__(self, transport, unread, timeout, *, on_move, on_read):
        self.bytes = 0  # those that the system has taken are gone
        self._moved_at = reactor.seconds()
        self._transport = transport
        self._unread = unread
        self._timeout = timeout
        self._on_move, self._on_read = on_move, on_read
        self._waiting = deque()
        self._given = 0
        self._timer = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        transport.unregisterProducer()
        transport.registerProducer(self, False)
        _let_little_wait_in_the_system(transport)

    async def room(self):
        """Wait until there is room for more."""
        await self._has_room.wait()

    def seconds_still(self):
        """Return for how long nothing has come or gone."""
        return reactor.seconds() - self._moved_at

    def write(self, data):
        """Take in a part of an answer."""
        if not data:
            return
        self._waiting.append(data)
        self._count(len(data))
        self._give()

    def note_given(self, size):
        """Count what was given to the connection past this."""
        self._given += size
        self._count(size)

    def resumeProducing(self):
        """Go on: the connection has taken all that it was given."""
        if not self._given:
            return
        self._forget(self._given)
        self._given = 0
        self._give()
        if self.bytes:
            self._on_move()
        else:
            self._on_read()

    def stopProducing(self):
        """Forget all: the connection is gone."""
        self._waiting.clear()
        self._given = 0
        self._forget(self.bytes)

    def give_up(self):
        """Cut the connection off."""
        self.stopProducing()
        self._transport.abortConnection()

    def _give(self):
        while self._waiting and self._given < PIECE_BYTES:
            data = self._waiting.popleft()
            self._given += len(data)
            self._transport.write(data)

    def _count(self, size):
        if not self.bytes:
            self._move()
        self.bytes += size
        if self.bytes > ROOM_BYTES:
            self._has_room.clear()
        self._unread.add(self, size)

    def _forget(self, size):
        self.bytes -= size
        self._move()
        if self.bytes <= ROOM_BYTES:
            self._has_room.set()
        self._unread.take(self, size)

    def _move(self):
        self._moved_at = reactor.seconds()
        if self._timer is None and self._transport.connected:
            self._timer = reactor.callLater(self._timeout, self._look)

    def _look(self):
        """See whether it has taken anything lately: one timer serves many answers."""
        self._timer = None
        if not self.bytes:
            return
        left = self._timeout - self.seconds_still()
        if left > 0:
            self._timer = reactor.callLater(left, self._look)
        else:
            logger.debug("web.timed_out waiting_for=reader client=%s", self._transport.getPeer())
            self.give_up()


def _let_little_wait_in_the_system(transport):
    """Have the system take only what it can soon send, so that what it takes tells who reads."""
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError, AttributeError):  # a socket that is a file
            handle = transport.getHandle()
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, PIECE_BYTES)
