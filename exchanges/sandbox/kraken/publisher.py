"""All of Kraken's channels over a market: who listens, and what is sent to them."""

from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.kraken import frames
from exchanges.sandbox.kraken.commands import Stream
from exchanges.sandbox.kraken.schedule import Channel, SymbolSchedule
from exchanges.sandbox.kraken.settings import NAME
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BREAK, GONE
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.connection import Connection, frame

HEARTBEAT_SECONDS = 1.0


class Publisher:
    """The channels by what is subscribed. A symbol that nobody listens to costs nothing."""

    def __init__(self, market: Market, clock: SandboxClock, faults: FrameFaults[Channel]):
        self._market, self._clock, self._faults = market, clock, faults
        self._listed = 0  # how many of the market's listings are served
        self._schedules: dict[Stream, SymbolSchedule] = {}
        self._busy: dict[SymbolSchedule, int] = {}  # subscriptions
        self._subscribed: dict[Connection, int] = {}
        self._heartbeat_due = 0.0

    def info(self, stream: Stream) -> FrameInfo | None:
        """Return what a stream's frames are about, None for one that there is not."""
        self._serve_new()
        schedule = self._schedules.get(stream)
        if schedule is None or self._market.status(schedule.listing.symbol) == GONE:
            return None
        return schedule.channels[stream].info

    def join(self, connection: Connection, stream: Stream, with_snapshot: bool) -> None:
        """Send a stream that there is to a connection from now on."""
        schedule, now_ms = self._schedules[stream], self._clock.now_ms()
        channel = schedule.channels[stream]
        self._busy[schedule] = self._busy.get(schedule, 0) + 1
        self._subscribed[connection] = self._subscribed.get(connection, 0) + 1
        if self._faults.leaves_unserved(channel.info.symbol, channel.info.timeframe):
            return
        if not channel.subscribers:
            schedule.start(channel, now_ms)
        channel.subscribers.add(connection)
        if with_snapshot and (told := schedule.snapshot(channel, now_ms)):
            connection.send_frame(frame(told))

    def leave(self, connection: Connection, stream: Stream) -> None:
        """Undo `join`."""
        schedule = self._schedules[stream]
        schedule.channels[stream].subscribers.discard(connection)
        self._busy[schedule] -= 1
        if not self._busy[schedule]:
            del self._busy[schedule]
        self._subscribed[connection] -= 1
        if not self._subscribed[connection]:
            del self._subscribed[connection]

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        for channel, payload in self._faults.overdue(now_ms):
            self._send(channel, frames.dated(payload, now_ms))
        for schedule in self._busy:
            schedule.publish_ended(now_ms, self._publish)
        for schedule in self._busy:
            schedule.publish_due(now_ms, now, self._publish)
        if self._subscribed and now >= self._heartbeat_due:
            self._heartbeat_due = max(self._heartbeat_due + HEARTBEAT_SECONDS, now)
            for connection in self._subscribed:
                connection.send(frames.HEARTBEAT)

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if one.is_on(NAME) and one.status != BREAK:
                schedule = SymbolSchedule(one, self._market)
                self._schedules |= dict.fromkeys(schedule.channels, schedule)
        self._listed = len(listings)

    def _publish(self, channel: Channel, info: FrameInfo, payload: bytes) -> None:
        now_ms = self._clock.now_ms()
        for one in self._faults.to_send(channel, info, payload, now_ms, frames.dated):
            self._send(channel, one)

    def _send(self, channel: Channel, payload: bytes) -> None:
        built = frame(payload)
        for connection in channel.subscribers:
            connection.send_frame(built)
