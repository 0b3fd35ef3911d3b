"""Each close of an exchange once and in order per pair, as they come, over cuts and restarts."""

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from livermore_reader.asking import exchange_of, listed, spelled, symbols_of
from livermore_reader.errors import BadRequest, Gap, ReaderError, Unavailable
from livermore_reader.following.filling import Filling, Pair
from livermore_reader.following.told import Told
from livermore_reader.sources.event_messages import BEGINNING, Wanted, id_to_begin_at
from livermore_reader.sources.source import Close, Events, Source
from livermore_reader.times import length_ms

logger = logging.getLogger(__name__)

LONGEST_STEP_SECONDS = 1.0
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.25, 5.0
ON_GAP = ("raise", "fill")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing has closed for a while. `id` is where to go on.

    `streamed` is False where nobody streams the exchange, None where it isn't known. `trouble`
    says why nothing can be read now, "" where it can.
    """

    id: str
    exchange: str
    streamed: "bool | None" = None
    trouble: str = ""


Item = TypeVar("Item")  # Close, or Close | Heartbeat


class Following(Generic[Item]):
    """Closes as they come, and heartbeats; an iterator that ends where it is closed.

    One thread at a time goes on with it; `close` may be called by any.
    """

    def __init__(
        self,
        source: Source,
        exchange: str,
        symbols: "str | Sequence[str] | None" = None,
        timeframes: "str | Sequence[str] | None" = None,
        since: "str | None" = None,
        on_gap: str = "raise",
        heartbeat: "float | None" = None,
    ):
        """`since` is the id of the last close that was handled, "0-0" for all that are kept, None
        for new ones alone. `on_gap` says what becomes of closes that are no longer told: Gap is
        raised, or they are filled from the cache. `heartbeat` is after how many quiet seconds one
        comes, None for none. Raises BadRequest.
        """
        if on_gap not in ON_GAP:
            raise BadRequest(f"on_gap={on_gap!r} is none of {' '.join(ON_GAP)}")
        if heartbeat is not None and not _is_positive(heartbeat):
            raise BadRequest(f"heartbeat={heartbeat!r} is no number of seconds")
        self.id = id_to_begin_at(since)  # where to go on: all up to it was handed out
        self.exchange = exchange_of(exchange)
        self._source = source
        self._symbols: Sequence[str] = symbols_of(symbols)
        self._timeframes = listed(timeframes, "timeframes")
        Wanted.of((), self._timeframes)
        self._on_gap = on_gap
        self._heartbeat = heartbeat
        self._ready: deque[Close] = deque()
        self._told: dict[Pair, Told] = {}
        self._events: Events | None = None
        self._gap_after = ""  # what is to be filled
        self._filling: Filling | None = None
        self._read_until = self.id
        self._closed = threading.Event()
        self._quiet_since = time.monotonic()
        self._streamed: bool | None = None
        self._trouble = ""
        self._delays = _delays()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def begin(self) -> "Following[Item]":
        """Take its place among the events: whatever is told from now on comes.

        Raises BadRequest, Unavailable.
        """
        if self._events is None:
            if self._symbols:
                names = self._source.names(self.exchange)
                self._symbols = [_symbol(each, self.exchange, names) for each in self._symbols]
            self._events = self._events_behind(self.id)
        return self

    def __iter__(self) -> "Following[Item]":
        return self

    def __next__(self) -> Item:
        while not self._closed.is_set():
            if (found := self.take()) is not None:
                return found
            self.step()
        raise StopIteration

    def take(self) -> "Item | None":
        """Return what is there already, None for nothing."""
        if self._ready:
            close = self._ready.popleft()
            self.id = close.id
            self._quiet_since = time.monotonic()
            return cast(Item, close)
        if not self._is_filling:
            self.id = self._read_until
        if self._quiet_seconds() <= 0 and (self.id or self._trouble):
            self._quiet_since = time.monotonic()
            return cast(Item, Heartbeat(self.id, self.exchange, self._streamed, self._trouble))
        return None

    def step(self) -> None:
        """Wait for what comes, a second at most. Raises BadRequest, Gap; then it has ended."""
        try:
            if self._gap_after:
                self._begin_to_fill(self._gap_after)
            elif self._filling is not None:
                self._fill(self._filling)
            else:
                self._read()
        except Unavailable as error:
            self._wait(error)
        except Exception as error:
            if self.is_closed:  # its connection was taken away while it read
                return
            if isinstance(error, BadRequest) and self._is_filling:
                self._wait(error)  # a Redis that lost all doesn't know its exchanges for a while
                return
            self.close()
            raise
        else:
            self._go_on()

    def close(self) -> None:
        """End it: who waits for a close waits no more."""
        self._closed.set()
        self._end_reading()

    def __enter__(self) -> "Following[Item]":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _read(self) -> None:
        self.begin()
        assert self._events is not None
        batch = self._events.read(max(0, min(LONGEST_STEP_SECONDS, self._quiet_seconds())))
        if batch.streamed is not None:
            self._streamed = batch.streamed
        if batch.gap_after is None:
            self._read_until = batch.last_id
            self._ready.extend(each for each in batch.closes if self._is_new(each))
        elif self._on_gap == "fill":
            self._gap_after = batch.gap_after
        else:
            raise Gap(
                f"closes of {self.exchange} behind {batch.gap_after} are no longer kept; since="
                f"{BEGINNING!r} begins with the oldest one that is",
                batch.gap_after,
                BEGINNING,
            )

    def _begin_to_fill(self, after: str) -> None:
        """Go on with what is told from now on, once all is filled that closed before.

        What closes meanwhile is in both, and is handed out once.
        """
        self._end_reading()
        self._events = self._events_behind("")
        self._filling = Filling(
            self._source, self.exchange, self._symbols, self._timeframes, after, self._told
        )
        self._gap_after = ""

    def _fill(self, filling: Filling) -> None:
        self._ready.extend(each for each in filling.part() if self._is_new(each))
        if filling.is_done:
            self._filling = None

    def _is_new(self, close: Close) -> bool:
        """Tell whether a close was not told before, and take note of it."""
        told = self._told.setdefault((close.symbol, close.timeframe), Told())
        open_ms = close.row[0]
        if told.has(open_ms) or (open_ms < told.end_ms and not close.late):
            return False
        told.add(open_ms, open_ms + length_ms(close.timeframe))
        return True

    def _events_behind(self, event_id: str) -> Events:
        return self._source.events(self.exchange, event_id, self._symbols, self._timeframes)

    def _end_reading(self) -> None:
        if self._events is not None:
            self._events.close()

    @property
    def _is_filling(self) -> bool:
        return bool(self._gap_after) or self._filling is not None

    def _quiet_seconds(self) -> float:
        """Return after how many seconds a heartbeat is due."""
        if self._heartbeat is None:
            return LONGEST_STEP_SECONDS
        return self._quiet_since + self._heartbeat - time.monotonic()

    def _wait(self, error: ReaderError) -> None:
        if not self._trouble and not self.is_closed:
            logger.warning("follow.cut_off exchange=%s error=%s", self.exchange, error)
        self._trouble, self._streamed = str(error), None
        self._closed.wait(max(0, min(next(self._delays), self._quiet_seconds())))

    def _go_on(self) -> None:
        if self._trouble:
            logger.info("follow.goes_on exchange=%s", self.exchange)
            self._trouble = ""
            self._delays = _delays()


def _delays() -> Iterator[float]:
    """Yield how long to wait before each try: ever longer, and not all readers at once."""
    delay = FIRST_DELAY_SECONDS
    while True:
        yield delay * random.uniform(0.5, 1)
        delay = min(2 * delay, LONGEST_DELAY_SECONDS)


def _is_positive(seconds: Any) -> bool:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return is_number and 0 < seconds < float("inf")


def _symbol(name: str, exchange: str, names: Mapping[str, str]) -> str:
    """Return the symbol that is called so. Raises BadRequest."""
    if found := spelled(name, names):
        return found
    raise BadRequest(f"{exchange} keeps no candles of {name[:50]!r}")
