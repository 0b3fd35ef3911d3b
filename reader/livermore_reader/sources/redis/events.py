"""Closes of an exchange, read from its events stream in Redis by their ids."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from livermore_reader.address import Address
from livermore_reader.sources.event_messages import (
    BEGINNING,
    NOTHING_TOLD,
    Wanted,
    close_of,
    order,
)
from livermore_reader.sources.redis.client import Client, as_unavailable
from livermore_reader.sources.source import Batch, Close

ENTRIES_AT_ONCE = 1000
LONGEST_BLOCK_MS = 1000  # below every timeout of a socket; `close` is noticed so late

Entry = tuple[bytes, dict[bytes, bytes]]


class RedisEvents:
    """Where a reader is in an events stream, which may lose its end, or all of it.

    Each entry is read from the last one on, and not behind it: whether that is still there tells
    in the same answer whether others between are not. Where Redis has lost the last that was told,
    it is told again, under the same ids or new ones: so it goes on behind what is left, and what
    comes up to where it was may have been told before.
    """

    def __init__(
        self,
        redis: Client,
        address: Address,
        key: str,
        exchange: str,
        after: str,
        wanted: Wanted,
        is_streamed: Callable[[], bool],
    ):
        """Begin behind an id; "" is where the stream ends now. Raises Unavailable."""
        self._redis = redis
        self._address = address
        self._key = key
        self._exchange = exchange
        self._wanted = wanted
        self._is_streamed = is_streamed
        self._closed = threading.Event()
        self._told_until = ""  # where it was before Redis lost the last of the stream
        with as_unavailable(address):
            self._last = after or self._newest()

    def read(self, seconds: float) -> Batch:
        """Return what comes within so long, maybe nothing. Raises Unavailable while cut off."""
        until = time.monotonic() + seconds
        with as_unavailable(self._address):
            while not self._closed.is_set():
                if batch := self._kept():
                    return batch
                left_ms = round((until - time.monotonic()) * 1000)
                if left_ms <= 0:
                    break
                block = min(LONGEST_BLOCK_MS, left_ms)
                self._redis.xread({self._key: self._last}, count=1, block=block)
            return Batch((), self._last, streamed=self._is_streamed())

    def close(self) -> None:
        self._closed.set()

    def _kept(self) -> "Batch | None":
        """Return what is there behind the last one, None for nothing."""
        entries: Sequence[Entry] = self._redis.xrange(
            self._key, min=self._last, count=ENTRIES_AT_ONCE
        )
        gap_after, last = None, self._last
        if entries and entries[0][0].decode() == last:
            entries = entries[1:]
        elif last != BEGINNING and self._is_gap():
            gap_after = last
        if not entries and gap_after is None:
            return None
        if entries:
            self._last = entries[-1][0].decode()
        closes = [each for entry in entries if (each := self._close_of(entry))]
        return Batch(closes, self._last, gap_after)

    def _is_gap(self) -> bool:
        """Tell whether entries behind the last one are gone, which is gone itself.

        Where the stream ends before it, goes back to that end.
        """
        info = self._info()
        if info is None:
            return False  # all of it is lost, and it may be told again
        first, newest = info.get("first-entry"), info["last-generated-id"].decode()
        if order(self._last) > order(newest):
            if self._last != NOTHING_TOLD:
                self._told_until, self._last = self._last, newest
            return False
        if first and order(first[0].decode()) <= order(self._last):
            return False
        if self._last == NOTHING_TOLD and info.get("entries-added", 0) <= info["length"]:
            return False
        is_newest = self._last == newest
        if not first:  # somebody took all of it out
            self._last = newest
        return not is_newest

    def _close_of(self, entry: Entry) -> "Close | None":
        event_id, text = entry[0].decode(), entry[1].get(b"event", b"")
        if self._told_until and order(event_id) > order(self._told_until):
            self._told_until = ""
        try:
            message = json.loads(text)
        except ValueError:
            return None
        close = close_of(event_id, self._exchange, message, again=bool(self._told_until))
        return close if close and self._wanted.has(close) else None

    def _newest(self) -> str:
        info = self._info()
        newest = info["last-generated-id"].decode() if info else BEGINNING
        return NOTHING_TOLD if newest == BEGINNING else newest

    def _info(self) -> Any:
        try:
            return self._redis.xinfo_stream(self._key)
        except ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
