"""When Binance's streams of one symbol have something to say."""

from collections.abc import Callable, Iterable

from exchanges.sandbox.binance import frames
from exchanges.sandbox.binance.listing import native_name
from exchanges.sandbox.faults.frames import FrameInfo
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.server.connection import Connection, frame
from livermore.market.timeframe import MINUTE_MS, Timeframe

KLINE_EVERY_MS = 2000
TICKER_EVERY_MS = 1000
_LOOK_EVERY_MS = 250  # for a first trade, once something may be told again


class Stream:
    """Who listens to one stream, in which of the two forms."""

    def __init__(self, name: str, info: FrameInfo):
        self.name, self.info = name, info
        self.raw: set[Connection] = set()
        self.combined: set[Connection] = set()

    def __bool__(self) -> bool:
        return bool(self.raw or self.combined)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self.raw or connection in self.combined

    def join(self, connection: Connection, combined: bool) -> None:
        self.leave(connection)
        (self.combined if combined else self.raw).add(connection)

    def leave(self, connection: Connection) -> None:
        self.raw.discard(connection)
        self.combined.discard(connection)

    def send(self, payload: bytes) -> None:
        if self.raw:
            built = frame(payload)
            for connection in self.raw:
                connection.send_frame(built)
        if self.combined:
            built = frame(frames.combined(self.name, payload))
            for connection in self.combined:
                connection.send_frame(built)


Publish = Callable[[Stream, FrameInfo, bytes], None]


class SymbolSchedule:
    """One symbol's streams, on the exchange's clock.

    A kline is pushed every two seconds at most and only if it changed; its closing frame comes at
    the first look after its end, traded or not, unless the symbol is halted by then. Tickers come
    once a second if anything traded.
    """

    write_ticker, write_mini = staticmethod(frames.ticker), staticmethod(frames.mini_ticker)

    def __init__(self, listing: Listing, market: Market):
        self.listing = listing
        self.open_bars = OpenBars(market.of(listing.symbol))
        name, symbol = native_name(listing).lower(), listing.symbol
        self._writers = {one: frames.KlineFrames(listing, one) for one in Timeframe}
        self.klines = {
            one: Stream(f"{name}@kline_{one}", FrameInfo(symbol, str(one), False))
            for one in Timeframe
        }
        self._closing = {one: FrameInfo(symbol, str(one), True) for one in Timeframe}
        self.ticker = Stream(f"{name}@ticker", FrameInfo(symbol, ticker=True))
        self.mini = Stream(f"{name}@miniTicker", FrameInfo(symbol, ticker=True))
        self.best = Stream(f"{name}@bookTicker", FrameInfo(symbol, ticker=True))
        self.due_ms = 0
        self._kline_due_ms = self._ticker_due_ms = 0
        self._kline_id = self._ticker_id = self._best_id = 0  # what was told, by next trade's id

    def streams(self) -> Iterable[Stream]:
        return (*self.klines.values(), self.ticker, self.mini, self.best)

    def start(self, now_ms: int) -> None:
        """Begin to follow the market; what happened before is nobody's news."""
        self.open_bars.jump_to(now_ms)
        self._kline_id = self._ticker_id = self._best_id = self.open_bars.next_id
        self._kline_due_ms = self._ticker_due_ms = self.due_ms = now_ms

    def publish_due(self, now_ms: int, publish: Publish) -> None:
        """Publish what became due by `now_ms`."""
        if now_ms < self.open_bars.at_ms:
            self.start(now_ms)  # the clock was put back: tell that time's news again
        halted_ms = self.open_bars.symbol_market.halted_ms
        for timeframe, bar in self.open_bars.advance_to(now_ms):
            if halted_ms is not None and bar.open_ms + timeframe.ms > halted_ms:
                continue
            if stream := self.klines[timeframe]:
                payload = self._writers[timeframe].write(bar, now_ms, True)
                info = self._closing[timeframe]._replace(traded=bool(bar.trades))
                publish(stream, info, payload)
        if now_ms >= self._kline_due_ms and self.open_bars.next_id != self._kline_id:
            self._push_klines(now_ms, publish)
        if now_ms >= self._ticker_due_ms and self.open_bars.next_id != self._ticker_id:
            self._push_tickers(now_ms, publish)
        minute = self.open_bars.minute
        if self.best and minute and self.open_bars.next_id != self._best_id:
            self._best_id = self.open_bars.next_id
            payload = frames.book_ticker(self.listing, minute.close, self._best_id)
            publish(self.best, self.best.info, payload)
        self.due_ms = self._next_look(now_ms)

    def _push_klines(self, now_ms: int, publish: Publish) -> None:
        told, self._kline_id = self._kline_id, self.open_bars.next_id
        self._kline_due_ms = now_ms + KLINE_EVERY_MS
        for timeframe, stream in self.klines.items():
            if stream:
                bar = self.open_bars.bar(timeframe)
                if bar and bar.trades and bar.first_id + bar.trades > told:
                    payload = self._writers[timeframe].write(bar, now_ms, False)
                    publish(stream, stream.info, payload)

    def _push_tickers(self, now_ms: int, publish: Publish) -> None:
        self._ticker_id = self.open_bars.next_id
        self._ticker_due_ms = now_ms + TICKER_EVERY_MS
        for stream, write in ((self.ticker, self.write_ticker), (self.mini, self.write_mini)):
            if stream and (day := self.open_bars.day()):
                payload = write(self.listing, day, now_ms)
                publish(stream, stream.info, payload)

    def _next_look(self, now_ms: int) -> int:
        if self.best:
            return now_ms
        soon_ms = now_ms + _LOOK_EVERY_MS
        due = [now_ms - now_ms % MINUTE_MS + MINUTE_MS]
        if any(self.klines.values()):
            due.append(max(self._kline_due_ms, soon_ms))
        if self.ticker or self.mini:
            due.append(max(self._ticker_due_ms, soon_ms))
        return min(due)
