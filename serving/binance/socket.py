"""A client's WebSocket that speaks Binance's protocol (web-socket-streams.md)."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from exchanges.venues.binance.server import commands
from exchanges.venues.binance.server.commands import BadCommand
from serving.binance.streams import SHUTDOWN, Form, UnknownStream, server_shutdown, topic_of
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.streams.hub import (
    LONGEST_UNSENT,
    Hub,
    Topic,
    close_frame,
    close_reason,
    text_frame,
)

logger = logging.getLogger(__name__)

STREAMS = 1024  # of one connection
MESSAGES_A_SECOND = 5
LONGEST_MESSAGE = 4096
SECONDS_TO_READ = 5.0  # what was left unread, before the connection is cut
PING_SECONDS, PONG_SECONDS = 20.0, 60.0
NO_PONG, NO_LEAVE = "no pong", "your API client was switched off, or has another token"
GOODBYE = "The server ends: connect again"
REASONS = {NO_PONG: "silent", NO_LEAVE: "unwanted"}


class BinanceSocket:
    """One connection: what it listens to, and the commands that change that."""

    def __init__(
        self,
        hub: Hub,
        exchange: ServedExchange,
        combined: bool,
        is_streamed: Callable[[], bool],
        note_drop: Callable[[str], object] = lambda reason: None,
        in_microseconds: bool = False,
    ):
        """`is_streamed` tells whether anything may come at all.

        `note_drop` is told why a client is dropped: `slow`, `silent` or `unwanted`.
        """
        self._in_microseconds = in_microseconds
        self._is_streamed = is_streamed
        self._note_drop = note_drop
        self._hub = hub
        self._exchange = exchange
        self._combined = combined
        self._socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=LONGEST_MESSAGE
        )
        self._transport: asyncio.Transport | None = None
        self._topics: dict[str, Topic] = {}  # in the order in which they were asked for
        self._received: deque[float] = deque(maxlen=MESSAGES_A_SECOND + 1)
        self._pinged: dict[bytes, float] = {}  # what was not answered yet, and when that was sent
        self._is_dropped = False
        self._refused: tuple[int, str] | None = None  # how it ends once it is open

    async def serve(self, request: web.Request, names: list[str]) -> web.WebSocketResponse:
        """Speak until one side ends it; `names` are the streams of its address.

        What closes once it is open is told: REST has all that closed before.
        """
        pinging = None
        try:
            await self._listen(names)
            await self._open(request)
            self._transport = request.transport
            if self._refused:
                await self._close(*self._refused)
                return self._socket
            pinging = asyncio.create_task(self._ping())
            async for message in self._socket:
                if not self._is_slow_enough():
                    await self._close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                    break
                await self._take(message)
        except Unavailable as error:
            await self._close(WSCloseCode.TRY_AGAIN_LATER, str(error))
        finally:
            if pinging:
                pinging.cancel()
            for name, topic in self._topics.items():
                self._hub.leave(self, topic, name)
        return self._socket

    async def _open(self, request: web.Request) -> None:
        try:
            await self._socket.prepare(request)
        except ValueError:  # of a header that is no ASCII
            raise web.HTTPBadRequest from None

    async def _listen(self, names: list[str]) -> None:
        """Listen to the streams of its address, which is refused where that can't be."""
        if len(set(names)) > STREAMS:
            self._refused = WSCloseCode.POLICY_VIOLATION, "Too many subscriptions"
            return
        try:
            await self._join(names)
        except UnknownStream as error:
            self._refused = WSCloseCode.POLICY_VIOLATION, str(error)
        except Unavailable as error:
            self._refused = WSCloseCode.TRY_AGAIN_LATER, str(error)

    # -- What the hub calls

    def is_slow(self) -> bool:
        """Tell whether it has left too much unread."""
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() > LONGEST_UNSENT

    def write(self, frames: bytes) -> None:
        """Send whole frames."""
        transport = self._transport
        if transport and not (self._is_dropped or self._socket.closed or transport.is_closing()):
            transport.write(frames)

    def drop(self, why: str) -> None:
        """End it with a code, which stands behind what it has not read; nobody waits for that."""
        if self._is_dropped:
            return
        self._is_dropped = True
        self._note_drop(REASONS.get(why, "slow"))
        logger.info("socket.dropped exchange=%s reason=%s", self._exchange.name, why)
        if self._transport is None:
            self._refused = WSCloseCode.POLICY_VIOLATION, why
            return
        self._transport.write(close_frame(WSCloseCode.POLICY_VIOLATION, why))
        asyncio.get_running_loop().call_later(SECONDS_TO_READ, self._transport.abort)

    async def go_away(self) -> None:
        """End it, as the server does, which is told before."""
        if self._transport is None:
            self._refused = WSCloseCode.GOING_AWAY, GOODBYE
        elif not self._socket.closed:
            shutdown = self._form(SHUTDOWN).write(server_shutdown(int(time.time() * 1000)))
            self.write(text_frame(shutdown))
            await self._close(WSCloseCode.GOING_AWAY, GOODBYE)

    # -- What the client sends

    async def _take(self, message: Any) -> None:
        if message.type == WSMsgType.PING:
            await self._socket.pong(message.data)
        elif message.type == WSMsgType.PONG:
            self._pinged.pop(bytes(message.data), None)
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await self._answer(message.data)

    async def _answer(self, text: str | bytes) -> None:
        try:
            method, params, request_id = commands.read_command(text)
            reply = await getattr(self, f"_do_{method.lower()}")(params, request_id)
        except BadCommand as error:
            reply = error.reply
        await self._socket.send_str(reply.decode())

    async def _do_subscribe(self, params: list, request_id: object) -> bytes:
        names = commands.stream_names(params, request_id)
        if len({*self._topics, *names}) > STREAMS:
            return commands.too_many(request_id)
        try:
            await self._join(names)
        except UnknownStream as error:
            raise BadCommand(2, f"Invalid request: {error}", request_id) from error
        return commands.result(None, request_id)

    async def _do_unsubscribe(self, params: list, request_id: object) -> bytes:
        for name in commands.stream_names(params, request_id):
            if topic := self._topics.pop(name, None):
                self._hub.leave(self, topic, name)
        return commands.result(None, request_id)

    async def _do_list_subscriptions(self, params: list, request_id: object) -> bytes:
        return commands.result(list(self._topics), request_id)

    async def _do_set_property(self, params: list, request_id: object) -> bytes:
        self._combined = commands.property_value(params, request_id)
        for name, topic in self._topics.items():
            await self._hub.join(self, topic, name, self._form(name))
        return commands.result(None, request_id)

    async def _do_get_property(self, params: list, request_id: object) -> bytes:
        commands.check_property(params, request_id)
        return commands.result(self._combined, request_id)

    async def _join(self, names: list[str]) -> None:
        """Listen to all of these, or to none. Raises UnknownStream."""
        topics = {name: topic_of(self._exchange, name) for name in names}
        for name, topic in topics.items():
            self._topics[name] = topic
            await self._hub.join(self, topic, name, self._form(name))

    def _form(self, name: str) -> Form:
        return Form(name if self._combined else "", self._in_microseconds)

    def _is_slow_enough(self) -> bool:
        now = time.monotonic()
        self._received.append(now)
        return len(self._received) <= MESSAGES_A_SECOND or now - self._received[0] > 1

    # -- How it is kept, and ends

    async def _ping(self) -> None:
        is_streamed = True
        while not self._socket.closed:
            await asyncio.sleep(PING_SECONDS)
            now = time.monotonic()
            if any(now - sent_at > PONG_SECONDS for sent_at in self._pinged.values()):
                self.drop(NO_PONG)
                return
            before, is_streamed = is_streamed, self._is_streamed()
            if not before and not is_streamed:  # a runner that begins anew is back by then
                why = f"Nobody streams {self._exchange.name} now: connect again"
                await self._close(WSCloseCode.TRY_AGAIN_LATER, why)
                return
            content = b"%d" % int(time.time() * 1000)
            self._pinged[content] = now
            with suppress(ConnectionResetError):  # it is ended meanwhile
                await self._socket.ping(content)

    async def _close(self, code: int, reason: str) -> None:
        await self._socket.close(code=code, message=close_reason(reason))
