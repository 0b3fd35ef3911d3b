"""OKX's WebSockets: two addresses, their limits, and the messages that subscribe."""

from collections import deque
from itertools import count

from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.okx import commands
from exchanges.sandbox.okx.commands import BadCommand, Command
from exchanges.sandbox.okx.frames import TICKERS
from exchanges.sandbox.okx.publisher import Name, Publisher
from exchanges.sandbox.okx.settings import NAME, OkxSettings
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import PING, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

PUBLIC, BUSINESS = PATHS = ("/ws/v5/public", "/ws/v5/business")
NO_DATA = 4004  # the code that ends a connection on which nothing was pushed
_HOUR = 3600.0
_FIRST_ID = 0x76DEFC81


class _Client:
    """One connection: which address it came to, and when it asked for something."""

    def __init__(self, connection_id: str, has_candles: bool):
        self.connection_id = connection_id
        self.has_candles = has_candles
        self.announced = False  # that it will be closed
        self._requests: deque[float] = deque()

    def count_request(self, now: float) -> int:
        """Count one that subscribes or unsubscribes; return how many there were in an hour."""
        while self._requests and self._requests[0] <= now - _HOUR:
            self._requests.popleft()
        self._requests.append(now)
        return len(self._requests)


class OkxStreams:
    """The streaming side of the protocol over a market, without its sockets.

    Candles come at one address and tickers at another. A message with one name that is not served
    where it was sent is refused whole.
    """

    name = NAME

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: OkxSettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self.counts = counts
        self._settings, self._faults = settings, faults
        self._publisher = Publisher(market, clock, faults)
        self._clients: dict[Connection, _Client] = {}
        self._ids = count(_FIRST_ID)

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        self.counts.attempt(now)
        in_this_second = sum(at > now - 1 for at in self.counts.attempts)
        return 429 if in_this_second > self._settings.okx_connects_per_second else None

    def open(self, connection: Connection, call: Call) -> None:
        """Take a new connection."""
        self._clients[connection] = _Client(f"{next(self._ids):08x}", call.path == BUSINESS)

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        connection.count_message(now)
        if opcode == PING:
            connection.pong(data)  # which does not count as something pushed
        elif data == b"ping" and opcode != PONG:
            if connection.answers_pings:
                connection.send(b"pong")
        elif opcode != PONG:
            self.counts.received(len(data))
            self._handle(connection, data, now)

    def leave(self, connection: Connection) -> None:
        for stream in list(connection.streams):
            self._unsubscribe(connection, _name(stream))
        del self._clients[connection]

    def maintain(self, connection: Connection, now: float) -> None:
        """End a connection on which nothing was pushed for long, be it an answer to a ping."""
        idle = now - connection.last_sent > self._settings.okx_idle_seconds
        if idle and not connection.silenced:
            connection.close(NO_DATA, "No data received in 30s.")

    def announce_end(self, connection: Connection, now: float) -> None:
        """Tell a connection, once, that it is about to be closed."""
        client = self._clients[connection]
        if not client.announced:
            client.announced = True
            connection.send(commands.notice(client.connection_id))

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._publisher.send_due(now_ms)

    # What messages do

    def _handle(self, connection: Connection, text: bytes, now: float) -> None:
        client = self._clients[connection]
        try:
            if len(text) > self._settings.okx_message_bytes:
                raise BadCommand(commands.BAD_REQUEST, "Invalid request: too long")
            command = commands.read_command(text)
            if client.count_request(now) > self._settings.okx_requests_per_hour:
                raise commands.too_often(command.request_id)
            names = command.streams
            if command.verb == commands.SUBSCRIBE:
                names = self._admitted(client, command)
        except BadCommand as error:
            connection.send(error.reply(client.connection_id))
            return
        act = self._subscribe if command.verb == commands.SUBSCRIBE else self._unsubscribe
        for name in names:
            act(connection, name)
            connection.send(commands.answer(command, name, client.connection_id))

    def _admitted(self, client: _Client, command: Command) -> list[Name]:
        """Return which streams of a message are subscribed. Raises BadCommand where it is not."""
        infos = {name: self._publisher.info(name) for name in command.streams}
        way, spoilt = self._faults.refusal({_text(name): infos[name] for name in infos})
        if way == "silent":
            return []
        found = [name for name in infos if way != "left_out" or _text(name) not in spoilt]
        for name in found:
            is_here = infos[name] is not None and (name[0] == TICKERS) is not client.has_candles
            if not is_here or _text(name) in spoilt:
                raise commands.refused(name, command.request_id)
        return found

    def _subscribe(self, connection: Connection, name: Name) -> None:
        if _text(name) not in connection.streams:
            connection.streams[_text(name)] = None
            self.counts.subscribed(_text(name), len(connection.streams))
            self._publisher.join(connection, name)

    def _unsubscribe(self, connection: Connection, name: Name) -> None:
        if _text(name) in connection.streams:
            del connection.streams[_text(name)]
            self.counts.unsubscribed(_text(name))
            self._publisher.leave(connection, name)


def _text(name: Name) -> str:
    return ":".join(name)


def _name(text: str) -> Name:
    channel, _, instrument = text.partition(":")
    return channel, instrument
