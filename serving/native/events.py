"""Closes as server-sent events, resumable by id (html.spec.whatwg.org, "Server-sent events")."""

import asyncio
import re
from collections.abc import AsyncIterator, Set
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis

from livermore.market import keys
from serving.directory import ServedExchange
from serving.streams.closes import Entry
from serving.streams.feed import Feed, parsed

HEARTBEAT_SECONDS = 15.0
LONGEST_QUEUE = 10_000  # entries; who leaves more unread is ended, and resumes by its last id
ENTRIES_AT_ONCE = 1000
ID = re.compile(r"\d{1,15}-\d{1,10}")


class Slow(Exception):
    """The client does not read what is sent to it."""


class EventSource:
    """Closes of one exchange from an id on, for one client."""

    def __init__(self, redis: Redis, feed: Feed, exchange: ServedExchange):
        self._redis = redis
        self._feed = feed
        self._key = keys.events(exchange.exchange_id)
        self._exchange_id = exchange.exchange_id
        self._queue: asyncio.Queue[Entry | None] = asyncio.Queue(LONGEST_QUEUE)
        self.is_slow = False  # it left more unread than is kept for it

    async def entries(self, after: str | None) -> AsyncIterator[Entry | None]:
        """Yield each entry once and in order, None after a time without one.

        Raises LookupError where what came after that id is no longer there, Slow, RedisError.
        """
        async with self._feed.listening(self._exchange_id, self._received):
            last = b""
            if after is not None:
                async for entry in self._since(after.encode()):
                    last = entry[0]
                    yield entry
            while True:
                try:
                    found = await asyncio.wait_for(self._queue.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield None
                    continue
                if found is None:
                    return
                if self.is_slow:
                    raise Slow
                if _place(found[0]) > _place(last):
                    yield found

    def end(self) -> None:
        """Let `entries` end: the server does."""
        with suppress(asyncio.QueueFull):  # then it ends as one that is slow
            self._queue.put_nowait(None)

    def _received(self, entries: list[Entry]) -> None:
        for entry in entries:
            try:
                self._queue.put_nowait(entry)
            except asyncio.QueueFull:
                self.is_slow = True

    async def _since(self, after: bytes) -> AsyncIterator[Entry]:
        read: Any = sync_to_async(self._redis.xrange, thread_sensitive=False)
        oldest = await read(self._key, count=1)
        if oldest and _place(oldest[0][0]) > _place(after) and await self._was_trimmed():
            raise LookupError(f"events after {after.decode()} are no longer kept")
        while True:
            found = await read(self._key, min=b"(" + after, count=ENTRIES_AT_ONCE)
            for entry in found:
                yield entry
            if len(found) < ENTRIES_AT_ONCE:
                return
            after = found[-1][0]

    async def _was_trimmed(self) -> bool:
        """Tell whether anything was ever taken out of the stream."""
        info: Any = await sync_to_async(self._redis.xinfo_stream, thread_sensitive=False)(self._key)
        return info.get("entries-added", 0) > info["length"]


def _place(entry_id: bytes) -> tuple[int, int]:
    ms, _, number = entry_id.partition(b"-")
    return int(ms or 0), int(number or 0)


async def send(
    request: web.Request,
    source: EventSource,
    after: str | None,
    symbols: Set[str],
    timeframes: Set[str],
) -> web.StreamResponse:
    """Send the closes of these, of all where none is named, until the client goes."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        async for entry in source.entries(after):
            if entry is None:
                await response.write(b": alive\n\n")
                continue
            entry_id, fields = entry
            text = fields.get(b"event", b"")
            message = parsed(text)
            if message and _is_wanted(message, symbols, timeframes):
                await response.write(b"id: %s\nevent: close\ndata: %s\n\n" % (entry_id, text))
    except LookupError as error:
        await response.write(b"event: gap\ndata: %s\n\n" % orjson.dumps({"error": str(error)}))
    except (Slow, ConnectionResetError):
        pass
    return response


def _is_wanted(message: dict[str, Any], symbols: Set[str], timeframes: Set[str]) -> bool:
    if symbols and message.get("symbol") not in symbols:
        return False
    return not timeframes or message.get("timeframe") in timeframes
