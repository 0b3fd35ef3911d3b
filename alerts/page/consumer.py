"""The socket of pages that have no other, /ws/alerts/: how many alerts are open.

It sends
- `{"type": "snapshot", "serverTime", "alerts"}` first, and after a `refresh`; `alerts` is
  `{"open", "why"}`, as `alerts.page.summary` has it.
- `{"type": "alerts", "alerts"}` when that has changed.

It takes `{"type": "seen", "count"}` and `{"type": "refresh"}`. These, and the codes with which it
is closed, are those of `warmup.network.socket.consumer`. What else is said to it is ignored.
"""

import asyncio
import contextlib
import logging
from typing import Any

import orjson
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError
from django.urls import path

from alerts.page.feed import AlertFeed, current_feed
from alerts.page.summary import read_summary
from warmup.network.permission import NotAdmitted, admit
from warmup.network.socket.consumer import FLOOD_MESSAGES, FLOOD_SECONDS, LONGEST_MESSAGE
from warmup.network.socket.lifetime import FLOOD, TRY_LATER, USUAL, Limits, wait_for_end
from warmup.network.socket.others import tell_everybody
from warmup.network.socket.outbox import Outbox

logger = logging.getLogger(__name__)

tell_everybody("alerts", read_summary)  # pages that have a socket are told over that


class AlertsConsumer(AsyncWebsocketConsumer):
    """One page: admitted, told what changes, and closed when it must be.

    No Redis is asked: the feed of its process tells it.
    """

    channel_layer_alias = ""  # none

    def __init__(self, *, limits: Limits = USUAL):
        super().__init__()
        self._limits = limits
        self._outbox = Outbox()
        self._sending = asyncio.Lock()
        self._feed: AlertFeed | None = None
        self._life: asyncio.Task | None = None
        self._ended = False
        self._counted, self._counted_since = 0, 0.0

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        except (DatabaseError, OSError) as error:
            logger.warning("alerts.socket_broken_off error=%s", error)
            await send({"type": "websocket.close", "code": TRY_LATER})
        finally:
            self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # As in the Network page's socket: nothing here needs Channels' look at the database first.
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        try:
            await self._check()
        except NotAdmitted as refusal:
            await self.close(refusal.code)
            return
        await self.accept()
        self._feed = current_feed()
        await self._feed.join(self)
        self._life = asyncio.ensure_future(self._end_when_due())

    async def take(self, text: str) -> None:
        """Take what the feed tells; the newest alone where a browser is slow."""
        self._outbox.put({"kind": "alerts", "text": text})
        async with self._sending:
            while not self._ended and (message := self._outbox.take()):
                self._outbox.note_sent(_now())
                await self.send(text_data=message["text"])

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._ended or self._feed is None:
            return
        if self._floods():
            self._ended = True
            logger.warning("network.flooded socket=alerts")
            await self.close(FLOOD)
            return
        match _parsed(text_data):
            case {"type": "seen", "count": int(count)}:
                with contextlib.suppress(ValueError):
                    self._outbox.note_seen(count, _now())
            case {"type": "refresh"}:
                await self.take(self._feed.snapshot())

    def _floods(self) -> bool:
        now = _now()
        if now - self._counted_since >= FLOOD_SECONDS:
            self._counted_since, self._counted = now, 0
        self._counted += 1
        return self._counted > FLOOD_MESSAGES

    async def _check(self) -> None:
        await database_sync_to_async(admit)(self.scope["session"].session_key)

    async def _end_when_due(self) -> None:
        code = await wait_for_end(self._outbox, self._check, self._limits)
        self._ended = True
        await self.close(code)

    def _leave(self) -> None:
        self._ended = True
        if self._life:
            self._life.cancel()
        if self._feed:
            self._feed.leave(self)


def _parsed(text: str | None) -> Any:
    """Return what a browser said, None for what is nothing."""
    if text is None or len(text) > LONGEST_MESSAGE:
        return None
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()


websocket_urlpatterns = [path("ws/alerts/", AlertsConsumer.as_asgi())]
