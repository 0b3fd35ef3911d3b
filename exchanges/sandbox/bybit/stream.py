"""Bybit's WebSockets: one category each, their limits, and the messages that subscribe."""

from zlib import crc32

from exchanges.sandbox.bybit import commands
from exchanges.sandbox.bybit.commands import BadCommand, Command
from exchanges.sandbox.bybit.listing import LINEAR
from exchanges.sandbox.bybit.publisher import Publisher
from exchanges.sandbox.bybit.settings import NAME, BybitSettings
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import SPOT
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import PING, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

PREFIX = "/v5/public"
PATHS = tuple(f"{prefix}/{category}" for category in (SPOT, LINEAR) for prefix in (PREFIX, ""))


class BybitStreams:
    """The streaming side of the protocol over a market, without its sockets.

    A message is done as a whole or not at all. A refusal names one topic, and not the message.
    """

    name = NAME

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: BybitSettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self.counts = counts
        self._settings, self._faults = settings, faults
        tells_quiet = bool(settings.bybit_streams_quiet)
        self._publisher = Publisher(market, clock, faults, tells_quiet)
        self._categories: dict[Connection, str] = {}
        self._pinged: dict[Connection, float] = {}  # when the client last did, by its own ping

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        limit = self._settings.bybit_connects_per_5_minutes
        return 403 if self.counts.attempt(now) > limit else None

    def open(self, connection: Connection, call: Call) -> None:
        """Take a new connection of the category that its path names."""
        self._categories[connection] = call.path.rpartition("/")[2]
        self._pinged[connection] = connection.opened

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        connection.count_message(now)
        if opcode == PING:
            connection.pong(data)
        elif opcode != PONG:
            self.counts.received(len(data))
            self._handle(connection, data, now)

    def leave(self, connection: Connection) -> None:
        self._unsubscribe(connection, list(connection.streams))
        del self._categories[connection], self._pinged[connection]

    def maintain(self, connection: Connection, now: float) -> None:
        """Cut who has not pinged for long, by a message: control frames do not count."""
        if now - self._pinged[connection] > self._settings.bybit_silence_seconds:
            connection.cut()

    def announce_end(self, connection: Connection, now: float) -> None:
        """Say nothing: this exchange doesn't announce its ends."""

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._publisher.send_due(now_ms)

    # What messages do

    def _handle(self, connection: Connection, text: bytes, now: float) -> None:
        try:
            command = commands.read_command(text)
        except BadCommand as error:
            self._answer(connection, False, str(error), "", "")
            return
        operation, request, topics = command
        category = self._categories[connection]
        new: list[str] | None = []
        try:
            if operation == commands.SUBSCRIBE:
                new = self._checked(connection, command)
        except BadCommand as error:
            self._answer(connection, False, str(error), "", operation)
            return
        if new is None:
            return
        if operation == commands.PING:
            self._pinged[connection] = now
        elif operation == commands.UNSUBSCRIBE:
            self._unsubscribe(connection, topics)
        # A linear connection says nothing where spot repeats the word.
        said = "pong" if operation == commands.PING else operation if category == SPOT else ""
        self._answer(connection, True, said, request, operation)
        for topic in new:
            connection.streams[topic] = None
            self.counts.subscribed(f"{category}:{topic}", len(connection.streams))
            self._publisher.join(connection, (category, topic))

    def _checked(self, connection: Connection, command: Command) -> list[str] | None:
        """Return what of a message is to be subscribed, None where nobody says a word of it."""
        category, topics = self._categories[connection], command.topics
        if category == SPOT and len(topics) > self._settings.bybit_spot_args:
            raise BadCommand(f"args size >{self._settings.bybit_spot_args}")
        infos = {topic: self._publisher.info((category, topic)) for topic in topics}
        way, refused = self._faults.refusal(infos)
        if way == "silent":
            return None
        if way == "error":
            raise BadCommand(f"error:handler not found,topic:{min(refused)}")
        kept = [topic for topic in infos if topic not in refused]
        for topic in kept:
            if infos[topic] is None:
                raise BadCommand(f"error:handler not found,topic:{topic}")
            if topic in connection.streams:
                raise BadCommand(f"error:already subscribed,topic:{topic}")
        if sum(map(len, [*connection.streams, *kept])) > self._settings.bybit_characters:
            raise BadCommand(f"args length >{self._settings.bybit_characters}")
        return kept

    def _unsubscribe(self, connection: Connection, topics: list[str]) -> None:
        category = self._categories[connection]
        for topic in topics:
            if topic in connection.streams:
                del connection.streams[topic]
                self.counts.unsubscribed(f"{category}:{topic}")
                self._publisher.leave(connection, (category, topic))

    def _answer(
        self, connection: Connection, success: bool, message: str, request: str, operation: str
    ) -> None:
        name = f"{crc32(str(id(connection)).encode()):08x}-sandbox"
        connection.send(commands.answer(success, message, name, request, operation))
