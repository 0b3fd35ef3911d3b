"""Coinbase's WebSocket channels: subscriptions, their limits, and what is sent when."""

import orjson

from exchanges.sandbox.coinbase import frames
from exchanges.sandbox.coinbase.schedule import EVERY, Channel, SymbolSchedule, info_of
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BREAK, COINBASE, GONE
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import SymbolMarket
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.connection import PING, POLICY, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

HEARTBEATS = "heartbeats"
HEARTBEAT_SECONDS = 1.0


class CoinbaseStreams:
    """The streaming side of the protocol over a market, without its sockets.

    A connection's streams are named `channel:product`. Products that don't exist or are delisted
    are left out of the answer, without an error. An alias is subscribed, and answered for,
    under the name of the product whose market it shows. Every frame but an error takes the
    connection's next sequence number, also one that is lost.
    """

    name = COINBASE

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        config: SandboxConfig,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self.counts = counts
        self._clock, self._config, self._faults = clock, config, faults
        self._market = market
        self._listed = 0  # how many of the market's listings are served
        self._of_markets: dict[SymbolMarket, SymbolSchedule] = {}  # aliases share one
        self._schedules: dict[str, SymbolSchedule] = {}
        self._aliases: dict[str, str] = {}
        self._serve_new()
        self._heartbeat_listeners: set[Connection] = set()
        self._heartbeat_due = 0.0
        self._heartbeats_sent = 0

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        self.counts.attempt(now)
        in_this_second = sum(at > now - 1 for at in self.counts.attempts)
        return 429 if in_this_second > self._config.coinbase_connects_per_second else None

    def open(self, connection: Connection, path: str, streams: list[str]) -> None:
        """Take a new connection; it has a few seconds to ask for something."""

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        connection.count_message(now)
        if opcode == PING:
            connection.pong(data)
        elif opcode != PONG:
            self.counts.received(len(data))
            if self._in_this_second(now) > self._config.coinbase_messages_per_second:
                connection.send(frames.error("rate limit exceeded"))
            else:
                self._handle(connection, data)

    def leave(self, connection: Connection) -> None:
        for stream in list(connection.streams):
            self._unsubscribe(connection, stream)

    def maintain(self, connection: Connection, now: float) -> None:
        """End a connection that asked for nothing in time, or that had nothing to say for long."""
        config = self._config
        waited = now - connection.opened > config.coinbase_subscribe_seconds
        if waited and not connection.subscribed:
            connection.close(POLICY, "no subscription")
        elif now - connection.last_sent > config.coinbase_idle_seconds and not connection.silenced:
            connection.close(1001, "idle")

    def announce_end(self, connection: Connection, now: float) -> None:
        """Say nothing: this exchange doesn't announce its ends."""

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._serve_new()
        for schedule in self._of_markets.values():
            schedule.publish_due(now_ms, now, self._publish)
        if self._heartbeat_listeners and now >= self._heartbeat_due:
            self._heartbeat_due = max(self._heartbeat_due + HEARTBEAT_SECONDS, now)
            self._heartbeats_sent += 1
            event = frames.heartbeat(now_ms, self._heartbeats_sent)
            for connection in self._heartbeat_listeners:
                self._send(connection, HEARTBEATS, event)

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if COINBASE in one.protocols and one.status != BREAK:
                symbol_market = self._market.of(one.symbol)
                self._schedules[one.symbol] = self._of_markets.setdefault(
                    symbol_market, SymbolSchedule(symbol_market)
                )
                if self._config.coinbase_aliases and one.alias:
                    self._aliases[one.symbol] = one.alias
        self._listed = len(listings)

    # What messages do

    def _handle(self, connection: Connection, text: bytes) -> None:
        try:
            sent = orjson.loads(text)
            kind, channel = sent["type"], sent["channel"]
            products = sent.get("product_ids") or []
            known = kind in ("subscribe", "unsubscribe") and isinstance(products, list)
            if not known or not all(isinstance(product, str) for product in products):
                raise ValueError(kind)
        except (ValueError, TypeError, KeyError, AttributeError):
            connection.send(frames.error("failure to parse message"))
            return
        if channel not in (*EVERY, HEARTBEATS):
            connection.send(frames.error("authentication failure"))
            return
        if kind == "subscribe":
            connection.subscribed = True
            way, refused = self._refusal(channel, products)
            if way == "silent":
                return
            if way == "error":
                connection.send(frames.error("invalid product_ids"))
                return
            products = [product for product in products if product not in refused]
        act = self._subscribe if kind == "subscribe" else self._unsubscribe
        for stream in self._named(channel, products):
            act(connection, stream)
        self._send(connection, "subscriptions", frames.subscriptions(_current(connection)))

    def _refusal(self, channel: str, products: list[str]) -> tuple[str, set[str]]:
        if channel == HEARTBEATS:
            return "", set()
        named = {one: info_of(one, channel) if one in self._schedules else None for one in products}
        return self._faults.refusal(named)

    def _named(self, channel: str, products: list[str]) -> list[str]:
        """Return streams; an alias goes by the name of the product whose market it shows."""
        if channel == HEARTBEATS:
            return [HEARTBEATS]
        return [f"{channel}:{self._aliases.get(product, product)}" for product in products]

    def _subscribe(self, connection: Connection, stream: str) -> None:
        self._serve_new()
        name, _, product = stream.partition(":")
        schedule = self._schedules.get(product)
        if schedule and self._market.status(product) == GONE:
            schedule = None
        if stream in connection.streams or (schedule is None and name != HEARTBEATS):
            return
        connection.streams[stream] = None
        self.counts.subscribed(stream, len(connection.streams))
        if schedule is None:
            self._heartbeat_listeners.add(connection)
            return
        channel, now_ms = schedule.channels[name], self._clock.now_ms()
        if self._faults.leaves_unserved(channel.info.symbol, channel.info.timeframe):
            return
        if not channel.listeners:
            schedule.start(channel, now_ms)
        channel.listeners.add(connection)
        if not connection.unserved and (event := schedule.snapshot(name, now_ms)):
            self._send(connection, name, event)

    def _unsubscribe(self, connection: Connection, stream: str) -> None:
        if stream not in connection.streams:
            return
        del connection.streams[stream]
        self.counts.unsubscribed(stream)
        name, _, product = stream.partition(":")
        if name == HEARTBEATS:
            self._heartbeat_listeners.discard(connection)
        elif not self._has_alias(connection, name, product):
            self._schedules[product].channels[name].listeners.discard(connection)

    def _has_alias(self, connection: Connection, name: str, product: str) -> bool:
        """Tell whether another name of this product is still subscribed."""
        schedule = self._schedules[product]
        return any(
            f"{name}:{other}" in connection.streams
            for other, its_schedule in self._schedules.items()
            if its_schedule is schedule
        )

    def _in_this_second(self, now: float) -> int:
        """Count a message of the address, whichever of its connections sent it."""
        times = self.counts.message_times
        while times and times[0] <= now - 1:
            times.popleft()
        times.append(now)
        return len(times)

    # What is sent

    def _publish(self, channel: Channel, event: bytes) -> None:
        for one in self._faults.spoil(channel, channel.info, event, self._clock.now_ms()):
            off_ms = self._faults.off_ms(channel.info)
            for connection in channel.listeners:
                if not connection.unserved:
                    self._send(connection, channel.name, one, off_ms)

    def _send(
        self, connection: Connection, channel: str, event: bytes | None, off_ms: int = 0
    ) -> None:
        sequence = connection.sequence
        connection.sequence += 1
        if event is not None:
            now_ms = self._clock.now_ms() + off_ms
            connection.send(frames.envelope(channel, sequence, now_ms, event))


def _current(connection: Connection) -> dict[str, list[str]]:
    """Return all that a connection has, by channel, as the answer tells it."""
    current: dict[str, list[str]] = {}
    for stream in connection.streams:
        channel, _, product = stream.partition(":")
        current.setdefault(channel, []).append(product or HEARTBEATS)
    return current
