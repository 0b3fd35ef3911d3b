"""Coinbase's WebSocket channels: subscriptions, their limits, and what is sent when."""

import orjson

from exchanges.sandbox.coinbase import frames
from exchanges.sandbox.coinbase.schedule import EVERY, Channel, Desk, marks_of
from exchanges.sandbox.faults.frames import Mischief
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BREAK, COINBASE, GONE
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import Book
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.connection import PING, POLICY, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

HEARTBEATS = "heartbeats"
HEARTBEAT_SECONDS = 1.0


class CoinbaseStreams:
    """The streaming side of the protocol over a market, without its sockets.

    A connection's streams are named `channel:product`. Products that don't exist or are delisted
    are left out of the answer, without an error. A product that shows another's book is subscribed,
    and answered for, under that one's name. Every frame but an error takes the connection's next
    sequence number, also one that is lost.
    """

    name = COINBASE

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        config: SandboxConfig,
        counts: StreamCounts,
        mischief: Mischief,
    ):
        self.counts = counts
        self._clock, self._config, self._mischief = clock, config, mischief
        self._market = market
        self._listed = 0  # how many of the market's listings are served
        self._of_books: dict[Book, Desk] = {}  # aliases share one
        self._desks: dict[str, Desk] = {}
        self._aliases: dict[str, str] = {}
        self._serve_new()
        self._hearts: set[Connection] = set()
        self._beat_due = 0.0
        self._beats = 0

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        self.counts.attempt(now)
        in_this_second = sum(at > now - 1 for at in self.counts.attempts)
        return 429 if in_this_second > self._config.coinbase_connects_per_second else None

    def open(self, connection: Connection, path: str, streams: list[str]) -> None:
        """Take a new connection; it has a few seconds to ask for something."""

    def hear(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        connection.heard(now)
        if opcode == PING:
            connection.pong(data)
        elif opcode != PONG:
            self.counts.received(len(data))
            if self._in_this_second(now) > self._config.coinbase_messages_per_second:
                connection.send(frames.error("rate limit exceeded"))
            else:
                self._obey(connection, data)

    def leave(self, connection: Connection) -> None:
        for stream in list(connection.streams):
            self._unsubscribe(connection, stream)

    def look_after(self, connection: Connection, now: float) -> None:
        """End a connection that asked for nothing in time, or that had nothing to say for long."""
        config = self._config
        waited = now - connection.opened > config.coinbase_subscribe_seconds
        if waited and not connection.subscribed:
            connection.close(POLICY, "no subscription")
        elif now - connection.last_sent > config.coinbase_idle_seconds and not connection.silenced:
            connection.close(1001, "idle")

    def warn(self, connection: Connection, now: float) -> None:
        """Say nothing: this exchange doesn't announce its ends."""

    def turn(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._serve_new()
        for desk in self._of_books.values():
            desk.turn(now_ms, now, self._publish)
        if self._hearts and now >= self._beat_due:
            self._beat_due = max(self._beat_due + HEARTBEAT_SECONDS, now)
            self._beats += 1
            event = frames.heartbeat(now_ms, self._beats)
            for connection in self._hearts:
                self._send(connection, HEARTBEATS, event)

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if COINBASE in one.protocols and one.status != BREAK:
                book = self._market.book(one.symbol)
                self._desks[one.symbol] = self._of_books.setdefault(book, Desk(book))
                if self._config.coinbase_aliases and one.alias:
                    self._aliases[one.symbol] = one.alias
        self._listed = len(listings)

    # What messages do

    def _obey(self, connection: Connection, text: bytes) -> None:
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
        named = {one: marks_of(one, channel) if one in self._desks else None for one in products}
        return self._mischief.refusal(named)

    def _named(self, channel: str, products: list[str]) -> list[str]:
        """Return streams; a product that shows another's book goes by that one's name."""
        if channel == HEARTBEATS:
            return [HEARTBEATS]
        return [f"{channel}:{self._aliases.get(product, product)}" for product in products]

    def _subscribe(self, connection: Connection, stream: str) -> None:
        self._serve_new()
        name, _, product = stream.partition(":")
        desk = self._desks.get(product)
        if desk and self._market.status(product) == GONE:
            desk = None
        if stream in connection.streams or (desk is None and name != HEARTBEATS):
            return
        connection.streams[stream] = None
        self.counts.subscribed(stream, len(connection.streams))
        if desk is None:
            self._hearts.add(connection)
            return
        channel, now_ms = desk.channels[name], self._clock.now_ms()
        if self._mischief.deaf(channel.marks.symbol, channel.marks.timeframe):
            return
        if not channel.listeners:
            desk.wake(channel, now_ms)
        channel.listeners.add(connection)
        if not connection.deaf and (event := desk.snapshot(name, now_ms)):
            self._send(connection, name, event)

    def _unsubscribe(self, connection: Connection, stream: str) -> None:
        if stream not in connection.streams:
            return
        del connection.streams[stream]
        self.counts.unsubscribed(stream)
        name, _, product = stream.partition(":")
        if name == HEARTBEATS:
            self._hearts.discard(connection)
        elif not self._has_alias(connection, name, product):
            self._desks[product].channels[name].listeners.discard(connection)

    def _has_alias(self, connection: Connection, name: str, product: str) -> bool:
        """Tell whether another name of this product is still subscribed."""
        desk = self._desks[product]
        return any(
            f"{name}:{other}" in connection.streams
            for other, its_desk in self._desks.items()
            if its_desk is desk
        )

    def _in_this_second(self, now: float) -> int:
        """Count a message of the address, whichever of its connections sent it."""
        heard = self.counts.heard
        while heard and heard[0] <= now - 1:
            heard.popleft()
        heard.append(now)
        return len(heard)

    # What is sent

    def _publish(self, channel: Channel, event: bytes) -> None:
        for one in self._mischief.spoil(channel, channel.marks, event, self._clock.now_ms()):
            off_ms = self._mischief.off_ms(channel.marks)
            for connection in channel.listeners:
                if not connection.deaf:
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
