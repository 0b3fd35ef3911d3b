"""Binance's WebSocket streams: subscriptions, their limits, and what is sent when."""

from exchanges.sandbox.binance import commands, frames
from exchanges.sandbox.binance.commands import BadCommand
from exchanges.sandbox.binance.schedule import TICKER_EVERY_MS, Stream, SymbolSchedule
from exchanges.sandbox.faults.frames import FrameFaults, FrameInfo, dated
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import BINANCE, BREAK
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.connection import PING, POLICY, PONG, Connection
from exchanges.sandbox.server.stream_log import StreamCounts

ALL_MINI = "!miniTicker@arr"


class BinanceStreams:
    """The streaming side of the protocol over a market, without its sockets.

    A name that no stream has is acknowledged and listed like any other, and stays silent.
    """

    name = BINANCE

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
        self._schedules: list[SymbolSchedule] = []
        self._minis = Stream(ALL_MINI, FrameInfo(ticker=True))
        self._streams: dict[str, tuple[Stream, SymbolSchedule | None]] = {
            ALL_MINI: (self._minis, None)
        }
        self._serve_new()
        self._busy: dict[SymbolSchedule, int] = {}  # subscriptions
        self._all_due_ms = 0
        self._all_told: dict[SymbolSchedule, int] = {}

    # What the sockets call

    def refusal(self, now: float) -> int | None:
        """Count an attempt to connect; return the HTTP status that refuses it, if it is refused."""
        limit = self._config.ws_connects_per_5_minutes
        return 429 if self.counts.attempt(now) > limit else None

    def open(self, connection: Connection, path: str, streams: list[str]) -> None:
        """Take a new connection to `/ws…` or `/stream…` with the streams its URL names."""
        connection.combined = path.startswith("/stream")
        if len(streams) > self._config.ws_streams:
            connection.close(POLICY, "Too many subscriptions")
        else:
            self._subscribe(connection, streams)

    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None:
        """Take one message or control frame from a client."""
        if connection.count_message(now) > self._config.ws_messages_per_second:
            connection.close(POLICY, "Too many requests")
        elif opcode == PING:
            connection.pong(data)
        elif opcode == PONG:
            connection.ponged(data)
        else:
            self._handle(connection, data)

    def leave(self, connection: Connection) -> None:
        self._unsubscribe(connection, list(connection.streams))

    def maintain(self, connection: Connection, now: float) -> None:
        """Ping, and end what has lasted too long or doesn't answer."""
        config = self._config
        if now - connection.last_ping >= config.ws_ping_seconds:
            connection.ping(b"%d" % self._clock.now_ms(), now)
        if any(now - sent > config.ws_pong_seconds for sent in connection.pings.values()):
            connection.cut()
        age = now - connection.opened
        if age >= config.ws_lifetime_seconds - config.ws_notice_seconds:
            self.announce_end(connection, now)
        if age >= config.ws_lifetime_seconds:
            connection.close(1001, "")

    def announce_end(self, connection: Connection, now: float) -> None:
        """Tell a connection, once, that it is about to be closed."""
        if connection.announced_at is None:
            connection.announced_at = now
            payload = frames.server_shutdown(self._clock.now_ms())
            if connection.combined:
                payload = frames.combined(frames.SHUTDOWN_STREAM, payload)
            connection.send(payload)

    def send_due(self, now_ms: int, now: float) -> None:
        """Publish what became due."""
        self._serve_new()
        for stream, payload in self._faults.overdue(now_ms):
            stream.send(payload)
        for schedule in self._busy:
            if now_ms >= schedule.due_ms or now_ms < schedule.open_bars.at_ms:
                schedule.publish_due(now_ms, self._publish)
        if self._minis and not self._all_due_ms - TICKER_EVERY_MS <= now_ms < self._all_due_ms:
            self._publish_all_minis(now_ms)

    def _serve_new(self) -> None:
        """Serve what was listed since the last look."""
        listings = list(self._market.listings.values())
        for one in listings[self._listed :]:
            if BINANCE in one.protocols and one.status != BREAK:
                schedule = SymbolSchedule(one, self._market)
                self._schedules.append(schedule)
                self._streams |= {stream.name: (stream, schedule) for stream in schedule.streams()}
        self._listed = len(listings)

    # What commands do

    def _handle(self, connection: Connection, text: bytes) -> None:
        self.counts.received(len(text))
        if len(text) > self._config.ws_message_bytes:
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
        way, refused = self._faults.refusal({name: self._info(name) for name in names})
        if way == "silent":
            return None
        if way == "error":
            raise BadCommand(2, "Invalid request: unknown stream", request_id)
        names = [name for name in names if name not in refused]
        if len({*connection.streams, *names}) > self._config.ws_streams:
            return commands.too_many(request_id)
        self._subscribe(connection, names)
        return commands.result(None, request_id)

    def _info(self, name: str) -> FrameInfo | None:
        return self._streams[name][0].info if name in self._streams else None

    def _do_unsubscribe(self, connection: Connection, params: list, request_id: object) -> bytes:
        self._unsubscribe(connection, commands.stream_names(params, request_id))
        return commands.result(None, request_id)

    def _do_list_subscriptions(
        self, connection: Connection, params: list, request_id: object
    ) -> bytes:
        return commands.result(list(connection.streams), request_id)

    def _do_set_property(self, connection: Connection, params: list, request_id: object) -> bytes:
        connection.combined = commands.property_value(params, request_id)
        for name in connection.streams:
            stream, _ = self._streams.get(name, (None, None))
            if stream and (connection in stream.raw or connection in stream.combined):
                stream.join(connection)
        return commands.result(None, request_id)

    def _do_get_property(self, connection: Connection, params: list, request_id: object) -> bytes:
        commands.check_property(params, request_id)
        return commands.result(connection.combined, request_id)

    def _subscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            if name not in connection.streams:
                connection.streams[name] = None
                self.counts.subscribed(name, len(connection.streams))
                self._listen(connection, name)

    def _listen(self, connection: Connection, name: str) -> None:
        self._serve_new()
        stream, schedule = self._streams.get(name, (None, None))
        if stream is None:
            return
        if schedule:
            if schedule not in self._busy:
                self._busy[schedule] = 0
                schedule.start(self._clock.now_ms())
            self._busy[schedule] += 1
            schedule.due_ms = 0  # what it must look at has changed
        if not self._faults.leaves_unserved(stream.info.symbol, stream.info.timeframe):
            stream.join(connection)

    def _unsubscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            if name not in connection.streams:
                continue
            del connection.streams[name]
            self.counts.unsubscribed(name)
            stream, schedule = self._streams.get(name, (None, None))
            if stream is not None:
                stream.leave(connection)
            if schedule in self._busy:  # else it was listed after that was asked for
                self._busy[schedule] -= 1
                if not self._busy[schedule]:
                    del self._busy[schedule]

    # What is sent

    def _publish(self, stream: Stream, info: FrameInfo, payload: bytes) -> None:
        now_ms = self._clock.now_ms()
        for one in self._faults.spoil(stream, info, payload, now_ms):
            if one is not None:
                off_ms = self._faults.off_ms(info)
                stream.send(dated(one, now_ms + off_ms) if off_ms else one)

    def _publish_all_minis(self, now_ms: int) -> None:
        """Send the mini tickers of what traded since the last time, in one array."""
        self._all_due_ms = now_ms + TICKER_EVERY_MS
        changed = []
        for schedule in self._schedules:
            open_bars = schedule.open_bars
            if schedule not in self._busy:
                open_bars.advance_to(now_ms)
            if open_bars.next_id != self._all_told.get(schedule):
                self._all_told[schedule] = open_bars.next_id
                if day := open_bars.day():  # else it is not listed yet
                    changed.append(frames.mini_ticker(schedule.listing, day, now_ms))
        if changed:
            self._publish(self._minis, self._minis.info, b"[%s]" % b",".join(changed))
