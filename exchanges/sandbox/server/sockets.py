"""The WebSockets of a sandbox: letting clients in, listening to them, one loop for all."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from aiohttp import WSMsgType, web

from exchanges.sandbox.faults.effects import ScenarioEffects
from exchanges.sandbox.protocol import Streams
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import PING, PONG, TEXT, Connection
from exchanges.sandbox.server.handlers import Handler, read_call
from exchanges.sandbox.server.state import SandboxState

TICK_SECONDS = 0.02
_CLOSING_SECONDS = 2.0  # for the client's half of a closing handshake
_SEND_SECONDS = 10.0  # longer than any pass
_MOST_INCOMING = 1 << 20
_OPCODES = {
    WSMsgType.TEXT: TEXT,
    WSMsgType.BINARY: TEXT,
    WSMsgType.PING: PING,
    WSMsgType.PONG: PONG,
}

logger = logging.getLogger(__name__)


class Sockets:
    """Every connection of every protocol, and the loop that serves them.

    One pass of the loop asks each protocol what is due, then writes to each connection once.
    """

    def __init__(self, state: SandboxState, effects: ScenarioEffects):
        self._state = state
        self._effects = effects
        self._open: dict[Connection, Streams] = {}

    def handler(self, streams: Streams) -> Handler:
        """Return the aiohttp handler of a protocol's paths."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Upgrade", "").lower() != "websocket":
                raise web.HTTPNotFound
            now, counts = time.monotonic(), self._state.streams[streams.name]
            status = streams.refusal(now) or self._effects.connections.refusal(streams.name)
            if status:
                counts.refused += 1
                return web.Response(status=status)
            call = read_call(request, self._state.clock.now_ms())
            return await self._serve(request, streams, call)

        return handle

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._send_due()
            except Exception:  # the loop must not stop for one broken payload
                logger.exception("sandbox.send_failed")

    def send_due_from_anywhere(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Return a function that does one pass now and waits for it, whichever thread calls.

        To be called on the loop's own thread.
        """
        own = threading.get_ident()

        async def send_due() -> None:
            self._send_due()

        def send_due_now() -> None:
            if threading.get_ident() == own:
                self._send_due()
            else:
                asyncio.run_coroutine_threadsafe(send_due(), loop).result(_SEND_SECONDS)

        return send_due_now

    def cut_all(self) -> None:
        for connection in list(self._open):
            connection.cut()

    def _send_due(self) -> None:
        now_ms, now = self._state.clock.now_ms(), time.monotonic()
        self._effects.apply(now, self._open)
        for streams in set(self._open.values()):
            streams.send_due(now_ms, now)
        for connection, streams in list(self._open.items()):
            streams.maintain(connection, now)
            connection.flush(now)

    async def _serve(
        self, request: web.Request, streams: Streams, call: Call
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            timeout=_CLOSING_SECONDS, autoping=False, compress=False, max_msg_size=_MOST_INCOMING
        )
        await socket.prepare(request)
        transport, counts = request.transport, self._state.streams[streams.name]
        if transport is None:
            return socket
        most = self._state.config.most_buffered_bytes
        connection = Connection(socket, transport, counts, most, time.monotonic())
        self._open[connection] = streams
        counts.opened()
        self._effects.connections.silence({connection: streams})
        streams.open(connection, call)
        try:
            await self._listen(socket, connection, streams)
        finally:
            del self._open[connection]
            counts.open -= 1
            streams.leave(connection)
        return socket

    async def _listen(
        self, socket: web.WebSocketResponse, connection: Connection, streams: Streams
    ) -> None:
        async for message in socket:
            if connection.leaving or message.type not in _OPCODES:
                continue
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            streams.receive(connection, _OPCODES[message.type], bytes(data), time.monotonic())
            connection.flush(time.monotonic())
        await connection.closed()
