"""All of OKX's channels over a market: who listens, and what is sent to them."""

from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BREAK, GONE, PERPETUAL
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.okx import frames
from exchanges.sandbox.okx.schedule import Stream, SymbolSchedule
from exchanges.sandbox.okx.settings import NAME
from exchanges.sandbox.server.connection import Connection

Name = tuple[str, str]  # channel and instrument


class Publisher:
    """The streams by name. An instrument that nobody listens to costs nothing."""

    def __init__(self, market: Market, clock: SandboxClock, faults: FrameFaults[Stream]):
        self._market, self._clock, self._faults = market, clock, faults
        self._listed = 0  # how many of the market's listings are served
        self._streams: dict[Name, tuple[Stream, SymbolSchedule]] = {}
        self._busy: dict[SymbolSchedule, int] = {}  # subscriptions

    def info(self, name: Name) -> FrameInfo | None:
        """Return what a stream's frames are about, None for a name that no stream has."""
        self._serve_new()
        if name not in self._streams:
            return None
        stream, schedule = self._streams[name]
        return None if self._market.status(schedule.listing.symbol) == GONE else stream.info

    def join(self, connection: Connection, name: Name) -> None:
        """Send a stream that there is to a connection from now on."""
        stream, schedule = self._streams[name]
        if schedule not in self._busy:
            self._busy[schedule] = 0
            schedule.start(self._clock.now_ms())
        self._busy[schedule] += 1
        schedule.due_ms = 0  # what it must look at has changed
        if not self._faults.leaves_unserved(stream.info.symbol, stream.info.timeframe):
            stream.join(connection)

    def leave(self, connection: Connection, name: Name) -> None:
        """Undo `join`."""
        stream, schedule = self._streams[name]
        stream.leave(connection)
        self._busy[schedule] -= 1
        if not self._busy[schedule]:
            del self._busy[schedule]

    def send_due(self, now_ms: int) -> None:
        """Publish what became due."""
        for stream, payload in self._faults.overdue(now_ms):
            stream.send(frames.dated(payload, now_ms))
        for schedule in self._busy:
            if now_ms >= schedule.due_ms or now_ms < schedule.open_bars.at_ms:
                schedule.publish_due(now_ms, self._publish)

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if (one.is_on(NAME) or one.is_on(NAME, PERPETUAL)) and one.status != BREAK:
                schedule = SymbolSchedule(one, self._market)
                self._streams |= {stream.name: (stream, schedule) for stream in schedule.streams()}
        self._listed = len(listings)

    def _publish(self, stream: Stream, info: FrameInfo, payload: bytes) -> None:
        now_ms = self._clock.now_ms()
        for one in self._faults.to_send(stream, info, payload, now_ms, frames.dated):
            stream.send(one)
