"""All of Bybit's topics over a market: who listens, and what is sent to them."""

from exchanges.sandbox.bybit import frames
from exchanges.sandbox.bybit.listing import KINDS
from exchanges.sandbox.bybit.schedule import Stream, SymbolSchedule
from exchanges.sandbox.bybit.settings import NAME
from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import GONE, TRADING
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.connection import Connection, frame


class Publisher:
    """The topics of each category by name. A symbol that nobody listens to costs nothing."""

    def __init__(
        self, market: Market, clock: SandboxClock, faults: FrameFaults[Stream], tells_quiet: bool
    ):
        """`tells_quiet`: bars without a trade have frames too."""
        self._market, self._clock, self._faults = market, clock, faults
        self._tells_quiet = tells_quiet
        self._listed = 0  # how many of the market's listings are served
        self._streams: dict[tuple[str, str], tuple[Stream, SymbolSchedule]] = {}
        self._busy: dict[SymbolSchedule, int] = {}  # subscriptions
        self._serve_new()

    def info(self, category: str, topic: str) -> FrameInfo | None:
        """Return what a topic's frames are about, None for one that does not exist."""
        self._serve_new()
        stream, schedule = self._streams.get((category, topic), (None, None))
        if stream is None or schedule is None:
            return None
        is_gone = self._market.status(schedule.listing.symbol) == GONE
        return None if is_gone else stream.info

    def join(self, connection: Connection, category: str, topic: str) -> None:
        """Send a topic that exists to a connection from now on; a ticker's comes whole at once."""
        stream, schedule = self._streams[category, topic]
        now_ms = self._clock.now_ms()
        if schedule not in self._busy:
            self._busy[schedule] = 0
            schedule.start(now_ms)
        self._busy[schedule] += 1
        schedule.due_ms = 0  # what it must look at has changed
        if self._faults.leaves_unserved(stream.info.symbol, stream.info.timeframe):
            return
        stream.subscribers.add(connection)
        if stream is schedule.ticker and (snapshot := schedule.snapshot(now_ms)):
            for one in self._faults.spoil(stream, stream.info, snapshot, now_ms):
                if one is not None:
                    connection.send_frame(frame(one))

    def leave(self, connection: Connection, category: str, topic: str) -> None:
        """Undo `join`."""
        stream, schedule = self._streams[category, topic]
        stream.subscribers.discard(connection)
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
            for category, kind in KINDS.items():
                if one.is_on(NAME, kind) and one.status == TRADING:
                    schedule = SymbolSchedule(one, self._market, self._tells_quiet)
                    found = {(category, each.topic): each for each in schedule.streams()}
                    self._streams |= {name: (each, schedule) for name, each in found.items()}
        self._listed = len(listings)

    def _publish(self, stream: Stream, info: FrameInfo, payload: bytes) -> None:
        now_ms = self._clock.now_ms()
        for one in self._faults.to_send(stream, info, payload, now_ms, frames.dated):
            stream.send(one)
