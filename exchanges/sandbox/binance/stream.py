"""Binance's WebSockets: their limits, and the commands that subscribe."""

from exchanges.sandbox.binance import frames
from exchanges.sandbox.binance.publisher import Publisher
from exchanges.sandbox.binance.settings import NAME, BinanceSettings
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call
from exchanges.sandbox.server.connection import PING, POLICY, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts
from exchanges.venues.binance.server import commands
from exchanges.venues.binance.server.commands import BadCommand

COMBINED = "/stream"
PATHS = ("/ws", "/ws/{segment:.*}", COMBINED)


class BinanceStreams:
    """The streaming side of the protocol over a market, without its sockets.

    A name that no stream has is acknowledged and listed like any other, and stays silent.
    """

    name = NAME
    publisher = Publisher
    combined_path = COMBINED

    def __init__(
        self,
        market: Market,
        clock: SandboxClock,
        settings: BinanceSettings,
        counts: StreamCounts,
        faults: FrameFaults,
    ):
        self.counts = counts
        self._clock, self._settings, self._faults = clock, settings, faults
        self._publisher = self.publisher(market, clock, faults)
        self._combined: set[Connection] = set()  # get each frame with its stream's name
        self._announced: set[Connection] = set()  # were told that they will be closed

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        limit = self._settings.ws_connects_per_5_minutes
        return 429 if self.counts.attempt(now) > limit else None

    def open(self, connection: Connection, call: Call) -> None:
        """Take a new connection with the streams that its URL names."""
        named = call.segment
        if call.path.startswith(self.combined_path):
            self._combined.add(connection)
            named = call.params.get("streams", "")
        streams = [name for name in named.split("/") if name]
        if len(streams) > self._settings.ws_streams:
            connection.close(POLICY, "Too many subscriptions")
        else:
            self._subscribe(connection, streams)

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        if connection.count_message(now) > self._settings.ws_messages_per_second:
            connection.close(POLICY, "Too many requests")
        elif opcode == PING:
            connection.pong(data)
        elif opcode == PONG:
            connection.ponged(data)
        else:
            self._handle(connection, data)

    def leave(self, connection: Connection) -> None:
        self._unsubscribe(connection, list(connection.streams))
        self._combined.discard(connection)
        self._announced.discard(connection)

    def maintain(self, connection: Connection, now: float) -> None:
        """Ping, and end what has lasted too long or doesn't answer."""
        settings = self._settings
        if now - connection.last_ping >= settings.ws_ping_seconds:
            connection.ping(b"%d" % self._clock.now_ms(), now)
        if any(now - sent > settings.ws_pong_seconds for sent in connection.pings.values()):
            connection.cut()
        age = now - connection.opened
        if age >= settings.ws_lifetime_seconds - settings.ws_notice_seconds:
            self.announce_end(connection, now)
        if age >= settings.ws_lifetime_seconds:
            connection.close(1001, "")

    def announce_end(self, connection: Connection, now: float) -> None:
        """Tell a connection, once, that it is about to be closed."""
        if connection not in self._announced:
            self._announced.add(connection)
            payload = frames.server_shutdown(self._clock.now_ms())
            if connection in self._combined:
                payload = frames.combined(frames.SHUTDOWN_STREAM, payload)
            connection.send(payload)

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._publisher.send_due(now_ms)

    # What commands do

    def _handle(self, connection: Connection, text: bytes) -> None:
        self.counts.received(len(text))
        if len(text) > self._settings.ws_message_bytes:
            connection.muted_until_ping = True
            return
        try:
            method, params, request_id = commands.read_command(text)
            reply = getattr(self, f"_do_{method.lower()}")(connection, params, request_id)
        except BadCommand as error:
            reply = error.reply
        if reply is not None:
            connection.send(reply)

    def _do_subscribe(
        self, connection: Connection, params: list, request_id: object
    ) -> bytes | None:
        names = commands.stream_names(params, request_id)
        way, refused = self._faults.refusal({name: self._publisher.info(name) for name in names})
        if way == "silent":
            return None
        if way == "error":
            raise BadCommand(2, "Invalid request: unknown stream", request_id)
        names = [name for name in names if name not in refused]
        if len({*connection.streams, *names}) > self._settings.ws_streams:
            return commands.too_many(request_id)
        self._subscribe(connection, names)
        return commands.result(None, request_id)

    def _do_unsubscribe(self, connection: Connection, params: list, request_id: object) -> bytes:
        self._unsubscribe(connection, commands.stream_names(params, request_id))
        return commands.result(None, request_id)

    def _do_list_subscriptions(
        self, connection: Connection, params: list, request_id: object
    ) -> bytes:
        return commands.result(list(connection.streams), request_id)

    def _do_set_property(self, connection: Connection, params: list, request_id: object) -> bytes:
        combined = commands.property_value(params, request_id)
        (self._combined.add if combined else self._combined.discard)(connection)
        for name in connection.streams:
            self._publisher.change_form(connection, name, combined)
        return commands.result(None, request_id)

    def _do_get_property(self, connection: Connection, params: list, request_id: object) -> bytes:
        commands.check_property(params, request_id)
        return commands.result(connection in self._combined, request_id)

    def _subscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            if name not in connection.streams:
                connection.streams[name] = None
                self.counts.subscribed(name, len(connection.streams))
                self._join(connection, name)

    def _join(self, connection: Connection, name: str) -> None:
        self._publisher.join(connection, name, connection in self._combined)

    def _unsubscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            if name in connection.streams:
                del connection.streams[name]
                self.counts.unsubscribed(name)
                self._publisher.leave(connection, name)
