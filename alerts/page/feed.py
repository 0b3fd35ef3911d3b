"""How many alerts are open, told to the pages that have no other socket: read once for all."""

import asyncio
import logging
import time
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import orjson
from channels.db import database_sync_to_async

from alerts.page.summary import read_summary

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0


class AlertSocket(Protocol):
    """A socket, as the feed knows it."""

    async def take(self, text: str) -> None: ...


class AlertFeed:
    """What the sockets of one web process are told; it reads while there are any."""

    def __init__(self) -> None:
        self._sockets: set[AlertSocket] = set()
        self._summary: dict[str, Any] | None = None
        self._polling: asyncio.Task | None = None

    async def join(self, socket: AlertSocket) -> None:
        """Count a socket in: it is told what there is, and from now on each change."""
        self._sockets.add(socket)
        if self._polling is None:
            self._summary = None  # what somebody read who had left meanwhile
            self._polling = asyncio.ensure_future(self._poll())
        if self._summary is None:
            self._summary = await _read()
        await socket.take(self.snapshot())

    def leave(self, socket: AlertSocket) -> None:
        """Count a socket out; with the last one it ends."""
        self._sockets.discard(socket)
        if not self._sockets and self._polling:
            self._polling.cancel()
            self._polling = self._summary = None

    def snapshot(self) -> str:
        """Return the message `snapshot` of `alerts.page.consumer`."""
        return _text({"type": "snapshot", "serverTime": _now_ms(), "alerts": self._summary})

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                before, self._summary = self._summary, await _read()
                if before is not None and self._summary != before:  # else it is about to be told
                    text = _text({"type": "alerts", "alerts": self._summary})
                    for socket in list(self._sockets):
                        await socket.take(text)
            except Exception:  # it must go on: the next one may succeed
                logger.exception("alerts.poll_failed")


async def _read() -> dict[str, Any]:
    return await database_sync_to_async(read_summary)()


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def _now_ms() -> int:
    return int(time.time() * 1000)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, AlertFeed] = WeakKeyDictionary()


def current_feed() -> AlertFeed:
    """Return the feed of this event loop."""
    return _feeds.setdefault(asyncio.get_running_loop(), AlertFeed())
