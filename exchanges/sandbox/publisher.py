"""Streams over a market, by name: who listens to each, and what is sent to them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import GONE, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.server.connection import Connection


class Listened(Hashable, Protocol):
    """A stream: what its frames are about, and how its subscribers are told."""

    info: FrameInfo

    def join(self, connection: Connection) -> None: ...

    def leave(self, connection: Connection) -> None: ...

    def send(self, payload: bytes) -> None: ...


NameT = TypeVar("NameT", bound=Hashable)
StreamT = TypeVar("StreamT", bound=Listened)


class Schedule(Protocol):
    """When the streams of one listing have something to say; by `due_ms` it is to be asked."""

    listing: Listing
    open_bars: OpenBars
    due_ms: int

    def start(self, now_ms: int) -> None: ...

    def publish_due(
        self, now_ms: int, publish: Callable[[Any, FrameInfo, bytes], None]
    ) -> None: ...


ScheduleT = TypeVar("ScheduleT", bound=Schedule)


class Publisher(ABC, Generic[NameT, StreamT, ScheduleT]):
    """All streams of one protocol. A listing that nobody listens to costs nothing.

    A protocol says what it serves of a listing, and how a frame is dated anew.
    """

    def __init__(self, market: Market, clock: SandboxClock, faults: FrameFaults[StreamT]):
        self._market, self._clock, self._faults = market, clock, faults
        self._listed = 0  # how many of the market's listings are served
        self._streams: dict[NameT, tuple[StreamT, ScheduleT]] = {}
        self._busy: dict[ScheduleT, int] = {}  # subscriptions

    @abstractmethod
    def _served(self, listing: Listing) -> Iterable[tuple[NameT, StreamT, ScheduleT]]:
        """Return the streams of what was listed, none where this protocol does not serve it."""

    @abstractmethod
    def _dated(self, payload: bytes, now_ms: int) -> bytes:
        """Return a frame that is sent later, as if it were of then."""

    def info(self, name: NameT) -> FrameInfo | None:
        """Return what a stream's frames are about, None for a name that no stream has."""
        self._serve_new()
        if name not in self._streams:
            return None
        stream, schedule = self._streams[name]
        return None if self._market.status(schedule.listing.symbol) == GONE else stream.info

    def join(self, connection: Connection, name: NameT) -> None:
        """Send a stream that there is to a connection from now on."""
        stream, schedule = self._streams[name]
        now_ms = self._clock.now_ms()
        if schedule not in self._busy:
            self._busy[schedule] = 0
            schedule.start(now_ms)
        self._busy[schedule] += 1
        schedule.due_ms = 0  # what it must look at has changed
        if not self._faults.leaves_unserved(stream.info.symbol, stream.info.timeframe):
            stream.join(connection)
            self._welcome(connection, stream, schedule, now_ms)

    def leave(self, connection: Connection, name: NameT) -> None:
        """Undo `join`."""
        stream, schedule = self._streams[name]
        stream.leave(connection)
        self._busy[schedule] -= 1
        if not self._busy[schedule]:
            del self._busy[schedule]

    def send_due(self, now_ms: int) -> None:
        """Publish what became due."""
        for stream, payload in self._faults.overdue(now_ms):
            stream.send(self._dated(payload, now_ms))
        for schedule in self._busy:
            if now_ms >= schedule.due_ms or now_ms < schedule.open_bars.at_ms:
                schedule.publish_due(now_ms, self._publish)

    def _welcome(
        self, connection: Connection, stream: StreamT, schedule: ScheduleT, now_ms: int
    ) -> None:
        """Send what comes first to who has just joined, where anything does."""
        return

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            for name, stream, schedule in self._served(one):
                self._streams[name] = stream, schedule
        self._listed = len(listings)

    def _publish(self, stream: StreamT, info: FrameInfo, payload: bytes) -> None:
        now_ms = self._clock.now_ms()
        for one in self._faults.to_send(stream, info, payload, now_ms, self._dated):
            stream.send(one)
