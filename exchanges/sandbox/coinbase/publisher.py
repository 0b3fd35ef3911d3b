"""All of Coinbase's channels over a market: who listens, and what is sent to them."""

from exchanges.sandbox.coinbase import frames
from exchanges.sandbox.coinbase.schedule import HEARTBEATS, Channel, SymbolSchedule, info_of
from exchanges.sandbox.coinbase.settings import NAME
from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BREAK, GONE
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import SymbolMarket
from exchanges.sandbox.server.connection import Connection

HEARTBEAT_SECONDS = 1.0


class Publisher:
    """The channels by product. Aliases share those of the product whose market they show.

    Every event takes its connection's next sequence number, also one that is lost.
    """

    def __init__(
        self, market: Market, clock: SandboxClock, faults: FrameFaults[Channel], with_aliases: bool
    ):
        self._market, self._clock, self._faults = market, clock, faults
        self._with_aliases = with_aliases
        self._listed = 0  # how many of the market's listings are served
        self._of_markets: dict[SymbolMarket, SymbolSchedule] = {}
        self._schedules: dict[str, SymbolSchedule] = {}
        self._aliases: dict[str, str] = {}
        self._serve_new()
        self._sequences: dict[Connection, int] = {}
        self._heartbeat_subscribers: set[Connection] = set()
        self._heartbeat_due = 0.0
        self._heartbeats_sent = 0

    def info(self, channel: str, product: str) -> FrameInfo | None:
        """Return what the frames of a product's channel are about, None for no such product."""
        return info_of(product, channel) if product in self._schedules else None

    def name(self, channel: str, product: str) -> str:
        """Return a stream's name; an alias goes by that of the product whose market it shows."""
        return f"{channel}:{self._aliases.get(product, product)}"

    def can_serve(self, stream: str) -> bool:
        self._serve_new()
        return stream == HEARTBEATS or self._schedule(stream) is not None

    def join(self, connection: Connection, stream: str) -> None:
        """Send a stream that can be served to a connection from now on, with its snapshot first."""
        schedule = self._schedule(stream)
        if schedule is None:
            self._heartbeat_subscribers.add(connection)
            return
        name = _channel(stream)
        channel, now_ms = schedule.channels[name], self._clock.now_ms()
        if self._faults.leaves_unserved(channel.info.symbol, channel.info.timeframe):
            return
        if not channel.subscribers:
            schedule.start(channel, now_ms)
        channel.subscribers.add(connection)
        if not connection.unserved and (event := schedule.snapshot(name, now_ms)):
            self.send(connection, name, event)

    def leave(self, connection: Connection, stream: str) -> None:
        """Undo `join`, once the connection has no longer the stream."""
        name, _, product = stream.partition(":")
        if name == HEARTBEATS:
            self._heartbeat_subscribers.discard(connection)
        elif not self._has_alias(connection, name, product):
            self._schedules[product].channels[name].subscribers.discard(connection)

    def forget(self, connection: Connection) -> None:
        self._sequences.pop(connection, None)

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._serve_new()
        for schedule in self._of_markets.values():
            schedule.publish_due(now_ms, now, self._publish)
        if self._heartbeat_subscribers and now >= self._heartbeat_due:
            self._heartbeat_due = max(self._heartbeat_due + HEARTBEAT_SECONDS, now)
            self._heartbeats_sent += 1
            event = frames.heartbeat(now_ms, self._heartbeats_sent)
            for connection in self._heartbeat_subscribers:
                self.send(connection, HEARTBEATS, event)

    def send(
        self, connection: Connection, channel: str, event: bytes | None, off_ms: int = 0
    ) -> None:
        """Send an event, dated `off_ms` off; None is one that is lost."""
        sequence = self._sequences.get(connection, 0)
        self._sequences[connection] = sequence + 1
        if event is not None:
            now_ms = self._clock.now_ms() + off_ms
            connection.send(frames.envelope(channel, sequence, now_ms, event))

    def _schedule(self, stream: str) -> SymbolSchedule | None:
        _, _, product = stream.partition(":")
        schedule = self._schedules.get(product)
        return None if schedule and self._market.status(product) == GONE else schedule

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if one.is_on(NAME) and one.status != BREAK:
                symbol_market = self._market.of(one.symbol)
                self._schedules[one.symbol] = self._of_markets.setdefault(
                    symbol_market, SymbolSchedule(symbol_market)
                )
                if self._with_aliases and one.alias:
                    self._aliases[one.symbol] = one.alias
        self._listed = len(listings)

    def _has_alias(self, connection: Connection, name: str, product: str) -> bool:
        """Tell whether another name of this product is still subscribed."""
        schedule = self._schedules[product]
        return any(
            f"{name}:{other}" in connection.streams
            for other, its_schedule in self._schedules.items()
            if its_schedule is schedule
        )

    def _publish(self, channel: Channel, event: bytes) -> None:
        for one in self._faults.spoil(channel, channel.info, event, self._clock.now_ms()):
            off_ms = self._faults.off_ms(channel.info)
            for connection in channel.subscribers:
                if not connection.unserved:
                    self.send(connection, channel.name, one, off_ms)


def _channel(stream: str) -> str:
    return stream.partition(":")[0]
