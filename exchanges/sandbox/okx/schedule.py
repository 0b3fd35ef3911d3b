"""When OKX's channels of one instrument have something to say."""

from collections.abc import Callable, Iterable

from exchanges.sandbox.faults.frames import FrameInfo
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.okx import frames
from exchanges.sandbox.okx.listing import native_name
from exchanges.sandbox.server.connection import Connection, frame
from livermore.market.timeframe import MINUTE_MS, Timeframe

EVERY_MS = 1000
_LOOK_EVERY_MS = 250  # for a first trade, once something may be told again


class Stream:
    """Who listens to one channel of an instrument; `new` are those that were told nothing yet."""

    def __init__(self, channel: str, listing: Listing, info: FrameInfo):
        self.name = channel, native_name(listing)
        self.info = info
        self.subscribers: set[Connection] = set()
        self.new: set[Connection] = set()

    def join(self, connection: Connection) -> None:
        self.subscribers.add(connection)
        self.new.add(connection)

    def leave(self, connection: Connection) -> None:
        self.subscribers.discard(connection)
        self.new.discard(connection)

    def send(self, payload: bytes) -> None:
        built = frame(payload)
        for connection in self.subscribers:
            connection.send_frame(built)


Publish = Callable[[Stream, FrameInfo, bytes], None]


class SymbolSchedule:
    """One instrument's channels, on the exchange's clock.

    The state of a new subscription comes at once. A candle is pushed once a second at most and
    only if it changed; its closing frame comes at the first look after its end, traded or not,
    unless the instrument is halted by then. Tickers come once a second if anything traded.
    """

    def __init__(self, listing: Listing, market: Market):
        self.listing = listing
        self.open_bars = OpenBars(market.of(listing.symbol))
        symbol = listing.symbol
        self.candles = {
            one: Stream(frames.CHANNELS[one], listing, FrameInfo(symbol, str(one), False))
            for one in Timeframe
        }
        self._closing = {one: FrameInfo(symbol, str(one), True) for one in Timeframe}
        self.ticker = Stream(frames.TICKERS, listing, FrameInfo(symbol, ticker=True))
        self.due_ms = 0
        self._candle_due_ms = self._ticker_due_ms = 0
        self._candle_id = self._ticker_id = 0  # what was told, by next trade's id

    def streams(self) -> Iterable[Stream]:
        return (*self.candles.values(), self.ticker)

    def start(self, now_ms: int) -> None:
        """Begin to follow the market; what happened before is nobody's news."""
        self.open_bars.jump_to(now_ms)
        self._candle_id = self._ticker_id = self.open_bars.next_id
        self._candle_due_ms = self._ticker_due_ms = self.due_ms = now_ms

    def publish_due(self, now_ms: int, publish: Publish) -> None:
        """Publish what became due by `now_ms`."""
        if now_ms < self.open_bars.at_ms:
            self.start(now_ms)  # the clock was put back: tell that time's news again
        halted_ms = self.open_bars.symbol_market.halted_ms
        for timeframe, bar in self.open_bars.advance_to(now_ms):
            stream = self.candles[timeframe]
            is_halted = halted_ms is not None and bar.open_ms + timeframe.ms > halted_ms
            if stream.subscribers and not is_halted:
                info = self._closing[timeframe]._replace(traded=bool(bar.trades))
                publish(stream, info, self._candle(timeframe, stream, bar, True))
        self._welcome(now_ms)
        if now_ms >= self._candle_due_ms and self.open_bars.next_id != self._candle_id:
            self._push_candles(now_ms, publish)
        if now_ms >= self._ticker_due_ms and self.open_bars.next_id != self._ticker_id:
            self._ticker_id = self.open_bars.next_id
            self._ticker_due_ms = now_ms + EVERY_MS
            if self.ticker.subscribers and (day := self.open_bars.day()):
                payload = frames.ticker(self.listing, day, now_ms)
                publish(self.ticker, self.ticker.info, payload)
        self.due_ms = self._next_look(now_ms)

    def _welcome(self, now_ms: int) -> None:
        """Tell those that are new how it stands."""
        for timeframe, stream in self.candles.items():
            if stream.new and (bar := self.open_bars.bar(timeframe)):
                _tell_new(stream, self._candle(timeframe, stream, bar, False))
        if self.ticker.new and (day := self.open_bars.day()):
            _tell_new(self.ticker, frames.ticker(self.listing, day, now_ms))

    def _push_candles(self, now_ms: int, publish: Publish) -> None:
        told, self._candle_id = self._candle_id, self.open_bars.next_id
        self._candle_due_ms = now_ms + EVERY_MS
        for timeframe, stream in self.candles.items():
            if stream.subscribers:
                bar = self.open_bars.bar(timeframe)
                if bar and bar.trades and bar.first_id + bar.trades > told:
                    publish(stream, stream.info, self._candle(timeframe, stream, bar, False))

    def _candle(self, timeframe: Timeframe, stream: Stream, bar, is_closed: bool) -> bytes:
        return frames.candle(frames.CHANNELS[timeframe], self.listing, bar, is_closed)

    def _next_look(self, now_ms: int) -> int:
        soon_ms = now_ms + _LOOK_EVERY_MS
        due = [now_ms - now_ms % MINUTE_MS + MINUTE_MS]
        if any(stream.subscribers for stream in self.candles.values()):
            due.append(max(self._candle_due_ms, soon_ms))
        if self.ticker.subscribers:
            due.append(max(self._ticker_due_ms, soon_ms))
        return min(due)


def _tell_new(stream: Stream, payload: bytes) -> None:
    built = frame(payload)
    for connection in stream.new:
        connection.send_frame(built)
    stream.new.clear()
