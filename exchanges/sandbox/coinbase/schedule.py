"""When Coinbase's channels of one product have something to say."""

from collections.abc import Callable

from exchanges.sandbox.coinbase import frames
from exchanges.sandbox.faults.frames import FrameInfo
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.market.symbol import SymbolMarket
from exchanges.sandbox.server.connection import Connection
from livermore.market.timeframe import Timeframe

HEARTBEATS = "heartbeats"
CANDLES, TRADES, TICKER, TICKER_BATCH = "candles", "market_trades", "ticker", "ticker_batch"
# Seconds of this machine between two updates: what a client must cope with doesn't speed up.
EVERY = {CANDLES: 1.0, TRADES: 0.25, TICKER: 0.25, TICKER_BATCH: 5.0}
_M5 = Timeframe.M5
_LONGEST_LEAP_MS = Timeframe.D1.ms


class Channel:
    """One channel of one product: who listens and how far they have been told."""

    def __init__(self, name: str, symbol_market: SymbolMarket):
        self.name, self.symbol_market = name, symbol_market
        self.info = info_of(symbol_market.listing.symbol, name)
        self.subscribers: set[Connection] = set()
        self.told_id = 0  # of the trade that is news next
        self.told_ms = 0
        self.due = 0.0


def info_of(product: str, channel: str) -> FrameInfo:
    """Return what the frames of a product's channel are about."""
    timeframe = str(_M5) if channel == CANDLES else None
    return FrameInfo(product, timeframe, ticker=channel in (TICKER, TICKER_BATCH))


Publish = Callable[[Channel, bytes], None]


class SymbolSchedule:
    """One product's channels. Nothing is said while nothing trades.

    An update of the candles holds every bucket that changed since the one before it, so the
    last state of a finished bucket comes with the first of the next.
    """

    def __init__(self, symbol_market: SymbolMarket):
        self.symbol_market = symbol_market
        self.open_bars = OpenBars(symbol_market)
        self.channels = {name: Channel(name, symbol_market) for name in EVERY}
        self._writers = {
            CANDLES: self._candles,
            TRADES: self._trades,
            TICKER: self._ticker,
            TICKER_BATCH: self._ticker,
        }

    def start(self, channel: Channel, now_ms: int) -> None:
        """Begin to serve a channel from now on; its snapshot tells what was before."""
        self.open_bars.advance_to(now_ms)
        channel.told_id, channel.told_ms = self.open_bars.next_id, now_ms

    def snapshot(self, name: str, now_ms: int) -> bytes | None:
        """Return a channel's first event, or None where nothing was listed yet."""
        self.open_bars.advance_to(now_ms)
        day = self.open_bars.day()
        if day is None:
            return None
        if name == CANDLES:
            return frames.candles_snapshot(self.symbol_market, now_ms)
        if name == TRADES:
            return frames.trades_snapshot(self.symbol_market, now_ms)
        return frames.ticker("snapshot", self.symbol_market, day, name == TICKER_BATCH)

    def publish_due(self, now_ms: int, now: float, publish: Publish) -> None:
        """Publish what became due."""
        due = [one for one in self.channels.values() if one.subscribers and now >= one.due]
        if not due:
            return
        self.open_bars.advance_to(now_ms)
        for channel in due:
            if not channel.told_ms <= now_ms <= channel.told_ms + _LONGEST_LEAP_MS:
                self.start(channel, now_ms)  # the clock was set: nobody traded in between
            if self.open_bars.next_id > channel.told_id:
                payload = self._writers[channel.name](channel)
                channel.told_id, channel.told_ms = self.open_bars.next_id, now_ms
                channel.due = now + EVERY[channel.name]
                publish(channel, payload)

    def _candles(self, channel: Channel) -> bytes:
        now_ms = self.open_bars.at_ms
        bars = self.symbol_market.bars_at(
            _M5, _M5.floor(channel.told_ms), _M5.floor(now_ms), now_ms
        )
        changed = [bar for bar in reversed(bars) if bar.first_id + bar.trades > channel.told_id]
        return frames.candles("update", self.symbol_market, changed)

    def _ticker(self, channel: Channel) -> bytes:
        day = self.open_bars.day()
        assert day, "whoever traded is listed"
        return frames.ticker("update", self.symbol_market, day, channel.name == TICKER_BATCH)

    def _trades(self, channel: Channel) -> bytes:
        found = self.open_bars.trades(channel.told_id, channel.told_ms)
        return frames.trades("update", self.symbol_market, found[::-1])
