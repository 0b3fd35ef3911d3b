"""Closes of an exchange, read from `serve` as server-sent events."""

import json
import threading
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

from livermore_reader.errors import Unavailable
from livermore_reader.sources.event_messages import (
    BEGINNING,
    ID,
    NOTHING_TOLD,
    Wanted,
    close_of,
    order,
)
from livermore_reader.sources.http.client import HttpClient
from livermore_reader.sources.http.server_sent import Block, Blocks
from livermore_reader.sources.http.stream import HttpStream
from livermore_reader.sources.source import Batch, Close

SECONDS_TO_BEGIN = 10.0
LONGEST_SILENCE_SECONDS = 45.0  # serve says something each 15
LONGEST_QUERY = 4000  # who wants more names than that gets all, and takes theirs


class HttpEvents:
    """Where a reader is in the events that `serve` tells; it connects again with the last id.

    `serve` says by a gap that it hasn't that id. Where it goes on behind an earlier one, or with
    one, Redis had lost the last that was told, and it is told again.
    """

    def __init__(self, client: HttpClient, exchange: str, after: str, wanted: Wanted):
        """Begin behind an id; "" is what was told last by now. Raises BadRequest, Unavailable."""
        self._client = client
        self._exchange = exchange
        self._wanted = wanted
        self._last = after
        self._stream: HttpStream | None = None
        self._blocks = Blocks()
        self._received_at = 0.0
        self._doubted = ""  # whether closes behind this id are missing is told by the next one
        self._gap_after: str | None = None
        self._told_until = ""  # what comes up to this id may have been told before
        self._streamed: bool | None = None
        self._closes: list[Close] = []
        self._closed = threading.Event()
        if not after:
            self._begin()

    def read(self, seconds: float) -> Batch:
        """Return what comes within so long, maybe nothing. Raises BadRequest, Unavailable."""
        until = time.monotonic() + seconds
        while not self._closed.is_set() and not self._closes and self._gap_after is None:
            left = until - time.monotonic()
            self._receive(left)
            if left <= 0:
                break
        closes, gap_after, self._closes, self._gap_after = self._closes, self._gap_after, [], None
        return Batch(closes, self._last, gap_after, self._streamed)

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _begin(self) -> None:
        """Learn where it begins."""
        until = time.monotonic() + SECONDS_TO_BEGIN
        while not self._last:
            left = until - time.monotonic()
            if left <= 0:
                raise self._client.address.unavailable(TimeoutError())
            self._receive(left)

    def _receive(self, seconds: float) -> None:
        """Take what comes next, or nothing where nothing does in time."""
        if self._stream is None:
            self._connect()
        assert self._stream is not None
        try:
            data = self._stream.receive(seconds)
            if data:
                self._received_at = time.monotonic()
                for block in self._blocks.feed(data):
                    self._take(block)
            elif data is not None:
                raise Unavailable(f"{self._client.address} has ended the connection")
            elif time.monotonic() - self._received_at > LONGEST_SILENCE_SECONDS:
                raise self._client.address.unavailable(TimeoutError())
        except (Unavailable, ValueError) as error:
            self._disconnect()
            if isinstance(error, ValueError):
                error = Unavailable(f"{self._client.address} sends what are no events")
            if not self._closed.is_set() and not self._closes:
                raise error from None

    def _connect(self) -> None:
        query = {"exchange": self._exchange}
        names = {"symbols": ",".join(sorted(self._wanted.symbols))}
        names["timeframes"] = ",".join(sorted(self._wanted.timeframes))
        query |= {name: text for name, text in names.items() if 0 < len(text) < LONGEST_QUERY}
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last:
            headers["Last-Event-ID"] = BEGINNING if self._last == NOTHING_TOLD else self._last
        target = f"{self._client.address.path}/v1/events?{urlencode(query)}"
        stream = HttpStream(self._client.address, target, headers)
        if stream.status != 200:
            with closing(stream):
                self._client.content(stream.status, stream.refusal())
            raise Unavailable(f"{self._client.address} answers {stream.status}")
        self._stream, self._blocks, self._doubted = stream, Blocks(), ""
        self._received_at, self._streamed = time.monotonic(), True
        if self._closed.is_set():
            stream.close()

    def _disconnect(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._streamed = None, None

    def _take(self, block: Block) -> None:
        if block.kind == "gap":
            self._doubt(block)
        elif block.id and ID.fullmatch(block.id):
            self._move_on(block.id)
        if block.kind == "state":
            self._streamed = _content(block).get("streamed") is not False
        if block.kind != "close" or not block.id:
            return
        again = bool(self._told_until) and order(block.id) <= order(self._told_until)
        close = close_of(block.id, self._exchange, _content(block), again)
        if close and self._wanted.has(close):
            self._closes.append(close)

    def _doubt(self, block: Block) -> None:
        """Take note that serve hasn't the last id."""
        if self._last == BEGINNING:
            return  # whatever is kept was asked for
        if block.id and block.id != BEGINNING and ID.fullmatch(block.id):
            if order(block.id) < order(self._last):
                self._told_until, self._last = self._last, block.id
        else:
            self._doubted = self._last

    def _move_on(self, event_id: str) -> None:
        if event_id == BEGINNING:
            self._last = self._last or NOTHING_TOLD
            return
        if self._doubted:
            if order(event_id) > order(self._doubted):
                self._gap_after = self._doubted
            else:
                self._told_until, self._last = self._doubted, event_id
            self._doubted = ""
        if not self._last or order(event_id) > order(self._last):
            self._last = event_id


def _content(block: Block) -> dict[str, Any]:
    try:
        found = json.loads(block.data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
