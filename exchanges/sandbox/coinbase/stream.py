"""Coinbase's WebSockets: their limits, and the messages that subscribe."""

from exchanges.sandbox.coinbase import commands
from exchanges.sandbox.coinbase.commands import BadCommand
from exchanges.sandbox.coinbase.publisher import Publisher
from exchanges.sandbox.coinbase.schedule import HEARTBEATS
from exchanges.sandbox.coinbase.settings import NAME, CoinbaseSettings
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import PING, POLICY, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

PATHS = ("/", "/coinbase")


class CoinbaseStreams:
    """The streaming side of the protocol over a market, without its sockets.

    A connection's streams are named `channel:product`. Products that don't exist or are delisted
    are left out of the answer, without an error. An alias is subscribed, and answered for, under
    the name of the product whose market it shows.
    """

    name = NAME

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: CoinbaseSettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self.counts = counts
        self._settings, self._faults = settings, faults
        self._publisher = Publisher(market, clock, faults, settings.coinbase_aliases)
        self._subscribed: set[Connection] = set()  # those that ever did

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        self.counts.attempt(now)
        in_this_second = sum(at > now - 1 for at in self.counts.attempts)
        return 429 if in_this_second > self._settings.coinbase_connects_per_second else None

    def open(self, connection: Connection, call: Call) -> None:
        """Take a new connection; it has a few seconds to ask for something."""

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        connection.count_message(now)
        if opcode == PING:
            connection.pong(data)
        elif opcode != PONG:
            self.counts.received(len(data))
            if self._in_this_second(now) > self._settings.coinbase_messages_per_second:
                connection.send(commands.error("rate limit exceeded"))
            else:
                self._handle(connection, data)

    def leave(self, connection: Connection) -> None:
        for stream in list(connection.streams):
            self._unsubscribe(connection, stream)
        self._publisher.forget(connection)
        self._subscribed.discard(connection)

    def maintain(self, connection: Connection, now: float) -> None:
        """End a connection that asked for nothing in time, or that had nothing to say for long."""
        settings = self._settings
        waited = now - connection.opened > settings.coinbase_subscribe_seconds
        if waited and connection not in self._subscribed:
            connection.close(POLICY, "no subscription")
        elif (
            now - connection.last_sent > settings.coinbase_idle_seconds and not connection.silenced
        ):
            connection.close(1001, "idle")

    def announce_end(self, connection: Connection, now: float) -> None:
        """Say nothing: this exchange doesn't announce its ends."""

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._publisher.send_due(now_ms, now)

    # What messages do

    def _handle(self, connection: Connection, text: bytes) -> None:
        try:
            subscribes, channel, products = commands.read_command(text)
            if subscribes:
                self._subscribed.add(connection)
                way, refused = self._refusal(channel, products)
                if way == "silent":
                    return
                if way == "error":
                    raise BadCommand("invalid product_ids")
                products = [product for product in products if product not in refused]
        except BadCommand as error:
            connection.send(error.reply)
            return
        act = self._subscribe if subscribes else self._unsubscribe
        for stream in self._named(channel, products):
            act(connection, stream)
        event = commands.subscriptions(_current(connection))
        self._publisher.send(connection, "subscriptions", event)

    def _refusal(self, channel: str, products: list[str]) -> tuple[str, set[str]]:
        if channel == HEARTBEATS:
            return "", set()
        return self._faults.refusal({one: self._publisher.info(channel, one) for one in products})

    def _named(self, channel: str, products: list[str]) -> list[str]:
        if channel == HEARTBEATS:
            return [HEARTBEATS]
        return [self._publisher.name(channel, product) for product in products]

    def _subscribe(self, connection: Connection, stream: str) -> None:
        if self._publisher.can_serve(stream) and stream not in connection.streams:
            connection.streams[stream] = None
            self.counts.subscribed(stream, len(connection.streams))
            self._publisher.join(connection, stream)

    def _unsubscribe(self, connection: Connection, stream: str) -> None:
        if stream in connection.streams:
            del connection.streams[stream]
            self.counts.unsubscribed(stream)
            self._publisher.leave(connection, stream)

    def _in_this_second(self, now: float) -> int:
        """Count a message of the address, whichever of its connections sent it."""
        times = self.counts.message_times
        while times and times[0] <= now - 1:
            times.popleft()
        times.append(now)
        return len(times)


def _current(connection: Connection) -> dict[str, list[str]]:
    """Return all that a connection has, by channel, as the answer tells it."""
    current: dict[str, list[str]] = {}
    for stream in connection.streams:
        channel, _, product = stream.partition(":")
        current.setdefault(channel, []).append(product or HEARTBEATS)
    return current
