"""Closes as server-sent events, resumable by id (html.spec.whatwg.org, "Server-sent events")."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Set
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from redis import Redis
from redis.exceptions import ResponseError

from livermore.market import keys
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.reading import CacheReader
from serving.streams.closes import BEGINNING, Entry
from serving.streams.feed import Feed, parsed

HEARTBEAT_SECONDS = 15.0  # without anything else that is written
SECONDS_BETWEEN_LOOKS = 1.0
RETRY_MS = 3000  # after which a client connects again
LONGEST_QUEUE = 10_000  # entries; who leaves more unread is ended, and resumes by its last id
ENTRIES_AT_ONCE = 1000
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep back what is less than a page
}


class Slow(Exception):
    """The client does not read what is sent to it."""


class Place(NamedTuple):
    """Where a client goes on: behind an id; `gap` says what it has missed by then, "" for none."""

    after: bytes
    gap: str = ""


class EventSource:
    """Closes of one exchange from an id on, for one client."""

    def __init__(self, redis: Redis, reader: CacheReader, feed: Feed, exchange: ServedExchange):
        self._redis = redis
        self._reader = reader
        self._feed = feed
        self._key = keys.events(exchange.exchange_id)
        self._exchange_id = exchange.exchange_id
        self._queue: asyncio.Queue[Entry | None] = asyncio.Queue(LONGEST_QUEUE)
        self.is_slow = False  # it left more unread than is kept for it

    async def place(self, after: str | None) -> Place:
        """Return where a client is that has all up to an id; None begins now.

        Raises Unavailable.
        """
        oldest, newest, was_trimmed = await self._reader.read(self._kept)
        if after is None:
            return Place(newest)
        told, gone = after.encode(), f"events after {after} are no longer kept"
        if order(told) == order(BEGINNING):
            return Place(told, gone if was_trimmed else "")
        if order(told) > order(newest):
            return Place(newest, f"event {after} is none that is kept: those near it may be lost")
        if order(told) < order(newest) and (oldest is None or order(told) < order(oldest)):
            return Place(BEGINNING, gone)
        return Place(told)

    async def entries(self, after: bytes) -> AsyncIterator[Entry | None]:
        """Yield each entry after an id once and in order, None after each second without one.

        Raises Slow, Unavailable.
        """
        async with self._feed.listening(self._exchange_id, self._received):
            last = after
            async for entry in self._since(after):
                last = entry[0]
                yield entry
            while True:
                try:
                    found = await asyncio.wait_for(self._queue.get(), SECONDS_BETWEEN_LOOKS)
                except TimeoutError:
                    yield None
                    continue
                if found is None:
                    return
                if self.is_slow:
                    raise Slow
                if order(found[0]) > order(last):
                    last = found[0]
                    yield found

    def end(self) -> None:
        """Let `entries` end."""
        with suppress(asyncio.QueueFull):  # then it ends as one that is slow
            self._queue.put_nowait(None)

    def _received(self, entries: list[Entry]) -> None:
        if not entries:
            self.end()  # it comes again by its last id, and is told what it has missed
        for entry in entries:
            try:
                self._queue.put_nowait(entry)
            except asyncio.QueueFull:
                self.is_slow = True

    async def _since(self, after: bytes) -> AsyncIterator[Entry]:
        while True:
            which = self._key, b"(" + after, "+", ENTRIES_AT_ONCE
            found: Any = await self._reader.read(self._redis.xrange, *which)
            for entry in found:
                yield entry
            if len(found) < ENTRIES_AT_ONCE:
                return
            after = found[-1][0]

    def _kept(self) -> tuple[bytes | None, bytes, bool]:
        """Return the oldest and the newest id, and whether anything was ever taken out."""
        try:
            info: Any = self._redis.xinfo_stream(self._key)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return None, BEGINNING, False  # nothing was told yet, or all of it is lost
        first = info.get("first-entry")
        was_trimmed = info.get("entries-added", 0) > info["length"]
        return first[0] if first else None, info["last-generated-id"], was_trimmed


def order(entry_id: bytes) -> tuple[int, int]:
    """Return what ids are compared by."""
    ms, _, number = entry_id.partition(b"-")
    return int(ms), int(number)


class Sending:
    """The answer to one client: blocks, each with the id up to which all was told."""

    def __init__(self, response: web.StreamResponse, after: bytes, is_streamed: Callable[[], bool]):
        self._response = response
        self._last = after
        self._is_streamed = is_streamed
        self._told_as_streamed = True
        self._written_at = 0.0

    async def begin(self, gap: str, after: str | None) -> None:
        """Say when to connect again, and by which id; then what was missed."""
        await self._write(b"retry: %d\nid: %s\n\n" % (RETRY_MS, self._last))
        if gap:
            await self._event(b"gap", orjson.dumps({"error": gap, "after": after}))
        await self.pause()

    async def close(self, entry_id: bytes, text: bytes) -> None:
        """Tell a close."""
        self._last = entry_id
        await self._event(b"close", text)

    async def leave_out(self, entry_id: bytes) -> None:
        """Move on behind what this client doesn't want."""
        self._last = entry_id
        await self.pause()

    async def pause(self) -> None:
        """Say what else there is to say: whether closes come, and that the server lives."""
        if self._is_streamed() is not self._told_as_streamed:
            self._told_as_streamed = not self._told_as_streamed
            await self._event(b"state", orjson.dumps({"streamed": self._told_as_streamed}))
        elif time.monotonic() - self._written_at >= HEARTBEAT_SECONDS:
            await self._write(b": alive\nid: %s\n\n" % self._last)

    async def _event(self, kind: bytes, data: bytes) -> None:
        await self._write(b"id: %s\nevent: %s\ndata: %s\n\n" % (self._last, kind, data))

    async def _write(self, block: bytes) -> None:
        self._written_at = time.monotonic()
        await self._response.write(block)


async def send(
    request: web.Request,
    source: EventSource,
    after: str | None,
    symbols: Set[str],
    timeframes: Set[str],
    is_streamed: Callable[[], bool],
) -> web.StreamResponse:
    """Send the closes of these, of all where none is named, until the client goes.

    `is_streamed` tells whether any may come. Raises Unavailable where it can't begin.
    """
    place = await source.place(after)
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    sending = Sending(response, place.after, is_streamed)
    with suppress(Slow, Unavailable, ConnectionResetError):  # a client comes again by itself
        await sending.begin(place.gap, after)
        async for entry in source.entries(place.after):
            if entry is None:
                await sending.pause()
                continue
            entry_id, fields = entry
            text = fields.get(b"event", b"")
            message = parsed(text)
            if message is None or not _is_wanted(message, symbols, timeframes):
                await sending.leave_out(entry_id)
                continue
            if b"\n" in text or b"\r" in text:  # somebody else wrote it: lines are ours
                text = orjson.dumps(message)
            await sending.close(entry_id, text)
            await sending.pause()
    return response


def _is_wanted(message: dict[str, Any], symbols: Set[str], timeframes: Set[str]) -> bool:
    if symbols and message.get("symbol") not in symbols:
        return False
    return not timeframes or message.get("timeframe") in timeframes
