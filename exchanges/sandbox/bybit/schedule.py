"""When Bybit's streams of one symbol have something to say."""

from collections.abc import Callable, Iterable

from exchanges.sandbox.bybit import frames
from exchanges.sandbox.bybit.listing import native_name
from exchanges.sandbox.bybit.rest import INTERVALS
from exchanges.sandbox.bybit.tickers import best_prices, day_ticker
from exchanges.sandbox.faults.frames import FrameInfo
from exchanges.sandbox.market.bars import Bar
from exchanges.sandbox.market.listings import PERPETUAL, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.server.connection import Connection, frame
from livermore.market.timeframe import MINUTE_MS, Timeframe

KLINE_EVERY_MS = 2000
TICKER_EVERY_MS = 1000
_LOOK_EVERY_MS = 250  # for a first trade, once something may be told again
_NAMES = {timeframe: interval for interval, timeframe in INTERVALS.items()}


class Stream:
    """Who listens to one topic of one category."""

    def __init__(self, topic: str, info: FrameInfo):
        self.topic, self.info = topic, info
        self.subscribers: set[Connection] = set()

    def __bool__(self) -> bool:
        return bool(self.subscribers)

    def join(self, connection: Connection) -> None:
        self.subscribers.add(connection)

    def leave(self, connection: Connection) -> None:
        self.subscribers.discard(connection)

    def send(self, payload: bytes) -> None:
        if self.subscribers:
            built = frame(payload)
            for connection in self.subscribers:
                connection.send_frame(built)


Publish = Callable[[Stream, FrameInfo, bytes], None]


class SymbolSchedule:
    """One symbol's topics, on the exchange's clock.

    A kline is pushed every two seconds at most and only if it changed. Its closing frame comes at
    the first look after its end, traded or not, unless the symbol is halted by then; that of a
    perpetual holds the bar behind it as well. Tickers come once a second if anything traded: of
    spot the whole, of perpetuals what has changed, and then the best prices alone.
    """

    def __init__(self, listing: Listing, market: Market, tells_quiet: bool):
        """`tells_quiet`: bars without a trade have frames too."""
        self.listing = listing
        self._tells_quiet = tells_quiet
        self.open_bars = OpenBars(market.of(listing.symbol))
        name, symbol = native_name(listing), listing.symbol
        self.klines = {
            timeframe: Stream(f"kline.{interval}.{name}", FrameInfo(symbol, str(timeframe), False))
            for interval, timeframe in INTERVALS.items()
        }
        self.ticker = Stream(f"tickers.{name}", FrameInfo(symbol, ticker=True))
        self.due_ms = 0
        self._closing = {each: FrameInfo(symbol, str(each), True) for each in Timeframe}
        self._is_perpetual = listing.kind == PERPETUAL
        self._kline_due_ms = self._ticker_due_ms = 0
        self._kline_id = self._ticker_id = 0  # what was told, by the next trade's id
        self._told: dict[str, str] = {}  # of a perpetual's ticker
        self._sequence = 0

    def streams(self) -> Iterable[Stream]:
        return (*self.klines.values(), self.ticker)

    def start(self, now_ms: int) -> None:
        """Begin to follow the market; what happened before is nobody's news."""
        self.open_bars.jump_to(now_ms)
        self._kline_id = self._ticker_id = self.open_bars.next_id
        self._kline_due_ms = self._ticker_due_ms = self.due_ms = now_ms
        self._told = {}

    def snapshot(self, now_ms: int) -> bytes | None:
        """Return the whole ticker, which comes first; None before the listing."""
        day = self.open_bars.day()
        if day is None:
            return None
        self._sequence += 1
        data = self._whole(day)
        return frames.ticker(self.ticker.topic, frames.SNAPSHOT, data, self._sequence, now_ms)

    def publish_due(self, now_ms: int, publish: Publish) -> None:
        """Publish what became due by `now_ms`."""
        if now_ms < self.open_bars.at_ms:
            self.start(now_ms)  # the clock was put back: tell that time's news again
        self._push_closes(now_ms, publish)
        if now_ms >= self._kline_due_ms and self.open_bars.next_id != self._kline_id:
            self._push_klines(now_ms, publish)
        if now_ms >= self._ticker_due_ms and self.open_bars.next_id != self._ticker_id:
            self._push_ticker(now_ms, publish)
        self.due_ms = self._next_look(now_ms)

    def _push_closes(self, now_ms: int, publish: Publish) -> None:
        halted_ms = self.open_bars.symbol_market.halted_ms
        for timeframe, bar in self.open_bars.advance_to(now_ms):
            if halted_ms is not None and bar.open_ms + timeframe.ms > halted_ms:
                continue
            if not self._tells(bar):
                continue
            if stream := self.klines[timeframe]:
                bars = [(bar, True)]
                behind = self.open_bars.bar(timeframe) if self._is_perpetual else None
                if behind and behind.open_ms > bar.open_ms and self._tells(behind):
                    bars.append((behind, False))
                info = self._closing[timeframe]._replace(traded=bool(bar.trades))
                publish(stream, info, self._kline(stream, timeframe, bars, now_ms))

    def _tells(self, bar: Bar) -> bool:
        return self._tells_quiet or bool(bar.trades)

    def _push_klines(self, now_ms: int, publish: Publish) -> None:
        told, self._kline_id = self._kline_id, self.open_bars.next_id
        self._kline_due_ms = now_ms + KLINE_EVERY_MS
        for timeframe, stream in self.klines.items():
            bar = self.open_bars.bar(timeframe) if stream else None
            if bar and bar.trades and bar.first_id + bar.trades > told:
                payload = self._kline(stream, timeframe, [(bar, False)], now_ms)
                publish(stream, stream.info, payload)

    def _kline(
        self, stream: Stream, timeframe: Timeframe, bars: list[tuple[Bar, bool]], now_ms: int
    ) -> bytes:
        interval = _NAMES[timeframe]
        return frames.kline(stream.topic, interval, timeframe, self.listing, bars, now_ms)

    def _push_ticker(self, now_ms: int, publish: Publish) -> None:
        self._ticker_id = self.open_bars.next_id
        self._ticker_due_ms = now_ms + TICKER_EVERY_MS
        stream, day = self.ticker, self.open_bars.day()
        if not stream or not day:
            return
        for kind, data in self._ticker_parts(day):
            self._sequence += 1
            payload = frames.ticker(stream.topic, kind, data, self._sequence, now_ms)
            publish(stream, stream.info, payload)

    def _ticker_parts(self, day: Bar) -> Iterable[tuple[str, dict]]:
        whole = self._whole(day)
        if not self._is_perpetual:
            yield frames.SNAPSHOT, whole
            return
        told, self._told = self._told, whole
        best = best_prices(self.listing, day)
        name = {"symbol": whole["symbol"]}
        new = {field: text for field, text in whole.items() if told.get(field) != text}
        last = {field: text for field, text in new.items() if field not in best}
        yield frames.DELTA, name | last
        yield frames.DELTA, name | {field: new[field] for field in best if field in new}

    def _whole(self, day: Bar) -> dict[str, str]:
        told = day_ticker(self.listing, day)
        return told | best_prices(self.listing, day) if self._is_perpetual else told

    def _next_look(self, now_ms: int) -> int:
        soon_ms = now_ms + _LOOK_EVERY_MS
        due = [now_ms - now_ms % MINUTE_MS + MINUTE_MS]
        if any(self.klines.values()):
            due.append(max(self._kline_due_ms, soon_ms))
        if self.ticker:
            due.append(max(self._ticker_due_ms, soon_ms))
        return min(due)
