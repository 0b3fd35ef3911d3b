"""All of Binance's streams over a market: who listens, and what is sent to them."""

from exchanges.sandbox.binance import frames
from exchanges.sandbox.binance.schedule import TICKER_EVERY_MS, Stream, SymbolSchedule
from exchanges.sandbox.binance.settings import NAME
from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BREAK, SPOT
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.connection import Connection

ALL_MINI = "!miniTicker@arr"


class Publisher:
    """The streams by name, of one protocol's markets of a kind.

    A symbol that nobody listens to costs nothing.
    """

    protocol, kind, schedule = NAME, SPOT, SymbolSchedule
    unserved: tuple[str, ...] = (BREAK,)  # statuses

    def __init__(self, market: Market, clock: SandboxClock, faults: FrameFaults[Stream]):
        self._market, self._clock, self._faults = market, clock, faults
        self._listed = 0  # how many of the market's listings are served
        self._schedules: list[SymbolSchedule] = []
        self._minis = Stream(ALL_MINI, FrameInfo(ticker=True))
        self._streams: dict[str, tuple[Stream, SymbolSchedule | None]] = {
            ALL_MINI: (self._minis, None)
        }
        self._serve_new()
        self._busy: dict[SymbolSchedule, int] = {}  # subscriptions
        self._all_due_ms = 0
        self._all_told: dict[SymbolSchedule, int] = {}

    def info(self, name: str) -> FrameInfo | None:
        """Return what a stream's frames are about, None for a name that no stream has."""
        return self._streams[name][0].info if name in self._streams else None

    def join(self, connection: Connection, name: str, combined: bool) -> None:
        """Send a stream to a connection from now on; a name that no stream has does nothing."""
        self._serve_new()
        stream, schedule = self._streams.get(name, (None, None))
        if stream is None:
            return
        if schedule:
            if schedule not in self._busy:
                self._busy[schedule] = 0
                schedule.start(self._clock.now_ms())
            self._busy[schedule] += 1
            schedule.due_ms = 0  # what it must look at has changed
        if not self._faults.leaves_unserved(stream.info.symbol, stream.info.timeframe):
            stream.join(connection, combined)

    def change_form(self, connection: Connection, name: str, combined: bool) -> None:
        """Send a stream in the other form to a connection that gets it."""
        stream, _ = self._streams.get(name, (None, None))
        if stream and connection in stream:
            stream.join(connection, combined)

    def leave(self, connection: Connection, name: str) -> None:
        """Undo `join`."""
        stream, schedule = self._streams.get(name, (None, None))
        if stream is not None:
            stream.leave(connection)
        if schedule in self._busy:  # else it was listed after that was asked for
            self._busy[schedule] -= 1
            if not self._busy[schedule]:
                del self._busy[schedule]

    def send_due(self, now_ms: int) -> None:
        """Publish what became due."""
        self._serve_new()
        for stream, payload in self._faults.overdue(now_ms):
            stream.send(frames.dated(payload, now_ms))
        for schedule in self._busy:
            if now_ms >= schedule.due_ms or now_ms < schedule.open_bars.at_ms:
                schedule.publish_due(now_ms, self._publish)
        if self._minis and not self._all_due_ms - TICKER_EVERY_MS <= now_ms < self._all_due_ms:
            self._publish_all_minis(now_ms)

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if one.is_on(self.protocol, self.kind) and one.status not in self.unserved:
                schedule = self.schedule(one, self._market)
                self._schedules.append(schedule)
                self._streams |= {stream.name: (stream, schedule) for stream in schedule.streams()}
        self._listed = len(listings)

    def _publish(self, stream: Stream, info: FrameInfo, payload: bytes) -> None:
        now_ms = self._clock.now_ms()
        for one in self._faults.to_send(stream, info, payload, now_ms, frames.dated):
            stream.send(one)

    def _others(self, now_ms: int) -> list[bytes]:
        """Return what else stands among all mini tickers."""
        return []

    def _publish_all_minis(self, now_ms: int) -> None:
        """Send the mini tickers of what traded since the last time, in one array."""
        self._all_due_ms = now_ms + TICKER_EVERY_MS
        changed = self._others(now_ms)
        for schedule in self._schedules:
            open_bars = schedule.open_bars
            if schedule not in self._busy:
                open_bars.advance_to(now_ms)
            if open_bars.next_id != self._all_told.get(schedule):
                self._all_told[schedule] = open_bars.next_id
                if day := open_bars.day():  # else it is not listed yet
                    changed.append(schedule.write_mini(schedule.listing, day, now_ms))
        if changed:
            self._publish(self._minis, self._minis.info, b"[%s]" % b",".join(changed))
