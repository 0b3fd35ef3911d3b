"""Kraken's WebSocket: its limits, the messages that subscribe, and its own kind of ping."""

from itertools import count

from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.kraken import commands, frames
from exchanges.sandbox.kraken.commands import OHLC, BadCommand, Command, Stream
from exchanges.sandbox.kraken.publisher import Publisher
from exchanges.sandbox.kraken.settings import NAME, KrakenSettings
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import PING, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

PATHS = ("/v2",)
_CONNECTS_SECONDS = 600
_FIRST_ID = 18_125_794_168_470_749_634  # longer than 63 bits, as theirs are


class KrakenStreams:
    """The streaming side of the protocol over a market, without its sockets.

    Each symbol of a message is done, or refused, by itself. A symbol has candles of one interval
    alone on a connection.
    """

    name = NAME

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: KrakenSettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self.counts = counts
        self._clock, self._settings, self._faults = clock, settings, faults
        self._publisher = Publisher(market, clock, faults)
        self._ids = count(_FIRST_ID)
        self._received: dict[Connection, float] = {}  # when its last message came

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        self.counts.attempt(now)
        lately = sum(at > now - _CONNECTS_SECONDS for at in self.counts.attempts)
        return 429 if lately > self._settings.kraken_connects_per_10_minutes else None

    def open(self, connection: Connection, call: Call) -> None:
        """Take a new connection, which is told how the exchange is."""
        self._received[connection] = connection.opened
        connection.send(frames.status(next(self._ids)))

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        if opcode == PING:
            connection.count_message(now)
            connection.pong(data)
        elif opcode != PONG:
            self._received[connection] = now
            self.counts.received(len(data))
            self._handle(connection, data, now)

    def leave(self, connection: Connection) -> None:
        for name in list(connection.streams):
            self._unsubscribe(connection, commands.stream_of(name))
        del self._received[connection]

    def maintain(self, connection: Connection, now: float) -> None:
        """End a connection that has subscribed nothing, and says nothing for long."""
        idle = now - self._received[connection] > self._settings.kraken_idle_seconds
        if idle and not connection.streams and not connection.silenced:
            connection.close(1000, "idle")

    def announce_end(self, connection: Connection, now: float) -> None:
        """Tell that there will be maintenance, which is no date for this connection's end."""
        connection.send(frames.status(next(self._ids), "maintenance"))

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._publisher.send_due(now_ms, now)

    # What messages do

    def _handle(self, connection: Connection, text: bytes, now: float) -> None:
        in_this_second, now_ms = connection.count_message(now), self._clock.now_ms()
        try:
            command = commands.read_command(text)
            if in_this_second > self._settings.kraken_messages_per_second:
                raise BadCommand(command.method, command.request_id, commands.TOO_FAST)
        except BadCommand as error:
            connection.send(commands.malformed(error, now_ms))
            return
        if command.method == commands.PING:
            if connection.answers_pings:
                self._publisher.send_due(now_ms, now)  # what was traded by then is told first
                connection.send(commands.pong(command, now_ms))
        elif command.method == commands.SUBSCRIBE:
            self._subscribe_all(connection, command, now_ms)
        else:
            for stream in command.streams:
                self._unsubscribe(connection, stream)
                connection.send(commands.acknowledgement(command, stream, now_ms))

    def _subscribe_all(self, connection: Connection, command: Command, now_ms: int) -> None:
        infos = {stream: self._publisher.info(stream) for stream in command.streams}
        way, spoilt = self._faults.refusal({each.name: infos[each] for each in infos})
        if way == "silent":
            return
        for stream in command.streams:
            if way == "left_out" and stream.name in spoilt:
                continue
            error = self._fault(connection, stream)
            if infos[stream] is None or way == "error":
                error = commands.not_supported(stream.symbol)
            if error:
                connection.send(commands.refusal(command, stream.symbol, error, now_ms))
                continue
            connection.send(commands.acknowledgement(command, stream, now_ms))
            connection.streams[stream.name] = None
            self.counts.subscribed(stream.name, len(connection.streams))
            self._publisher.join(connection, stream, command.snapshot)

    def _fault(self, connection: Connection, stream: Stream) -> str:
        """Say why a stream can't be had beside those that a connection has, "" where it can."""
        had = map(commands.stream_of, connection.streams)
        if stream.channel == OHLC:
            others = [each for each in had if each[:2] == stream[:2]]
            return commands.ONE_INTERVAL if others else ""
        return "Already subscribed" if stream.name in connection.streams else ""

    def _unsubscribe(self, connection: Connection, stream: Stream) -> None:
        if stream.name in connection.streams:
            del connection.streams[stream.name]
            self.counts.unsubscribed(stream.name)
            self._publisher.leave(connection, stream)
