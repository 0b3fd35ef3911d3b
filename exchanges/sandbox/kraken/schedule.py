"""When Kraken's channels of one symbol have something to say: after a trade, and never else."""

from collections.abc import Callable

from exchanges.sandbox.faults.frames import FrameInfo
from exchanges.sandbox.kraken import frames
from exchanges.sandbox.kraken.commands import OHLC, TICKER, Stream
from exchanges.sandbox.kraken.listing import native_name
from exchanges.sandbox.market.bars import Bar
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.open_bars import OpenBars
from exchanges.sandbox.server.connection import Connection
from livermore.market.timeframe import MINUTE_MS, Timeframe

# Seconds of this machine between two updates: each trade makes one of its bar, as soon as may be.
EVERY = {OHLC: 0.0, TICKER: 1.0}
SNAPSHOT_PERIODS = 20  # from which a snapshot has the bars that traded
_LONGEST_LEAP_MS = Timeframe.D1.ms


class Channel:
    """One channel of one symbol: who listens, and how far they have been told."""

    def __init__(self, stream: Stream, symbol: str, timeframe: Timeframe | None):
        self.stream, self.timeframe = stream, timeframe
        is_ticker = timeframe is None
        told = None if timeframe is None else str(timeframe)
        self.info = FrameInfo(symbol, told, None if is_ticker else False, ticker=is_ticker)
        self.last = self.info._replace(closing=None if is_ticker else True)
        self.subscribers: set[Connection] = set()
        self.told_id = 0  # of the trade that is news next
        self.told_ms = 0
        self.due = 0.0


Publish = Callable[[Channel, FrameInfo, bytes], None]


class SymbolSchedule:
    """One symbol's channels.

    An update tells one bar. Of one that has ended since the update before, what it came to is told
    once, first, if anything was traded in it meanwhile. The last one of a bar is its closing frame,
    though nothing in it says so; it is not told again at its end.
    """

    def __init__(self, listing: Listing, market: Market):
        self.listing = listing
        self.symbol_market = market.of(listing.symbol)
        self.open_bars = OpenBars(self.symbol_market)
        name = native_name(listing)
        timeframes: dict[Stream, Timeframe | None] = {
            Stream(OHLC, name, each.ms // MINUTE_MS): each for each in Timeframe
        }
        timeframes[Stream(TICKER, name)] = None
        self.channels = {
            stream: Channel(stream, listing.symbol, timeframe)
            for stream, timeframe in timeframes.items()
        }

    def start(self, channel: Channel, now_ms: int) -> None:
        """Begin to serve a channel from now on."""
        self.open_bars.advance_to(now_ms)
        channel.told_id, channel.told_ms = self.open_bars.next_id, now_ms

    def snapshot(self, channel: Channel, now_ms: int) -> bytes | None:
        """Return a channel's first frame, None where nothing was listed yet."""
        self.open_bars.advance_to(now_ms)
        timeframe = channel.timeframe
        if timeframe is None:
            day = self.open_bars.day()
            return day and frames.ticker(frames.SNAPSHOT, self.listing, day, now_ms)
        newest_ms = timeframe.floor(now_ms)
        oldest_ms = newest_ms - SNAPSHOT_PERIODS * timeframe.ms
        bars = self._traded(timeframe, oldest_ms, newest_ms, now_ms)
        return frames.candles(frames.SNAPSHOT, self.listing, timeframe, bars, now_ms)

    def publish_ended(self, now_ms: int, publish: Publish) -> None:
        """Publish what bars came to that have ended since: before anything later of any symbol."""
        for channel in self.channels.values():
            timeframe = channel.timeframe
            if timeframe is None or not channel.subscribers:
                continue
            open_ms = timeframe.floor(now_ms)
            if not channel.told_ms < open_ms <= channel.told_ms + _LONGEST_LEAP_MS:
                continue
            first_ms = timeframe.floor(channel.told_ms)
            for bar in self._traded(timeframe, first_ms, open_ms - 1, now_ms):
                if bar.first_id + bar.trades > channel.told_id:
                    sent_ms = bar.open_ms + timeframe.ms - 1
                    told = frames.candles(frames.UPDATE, self.listing, timeframe, [bar], sent_ms)
                    publish(channel, channel.last, told)
                    channel.told_id = bar.first_id + bar.trades
            channel.told_ms = open_ms

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
                channel.due = now + EVERY[channel.stream.channel]
                self._publish(channel, now_ms, publish)
                channel.told_id, channel.told_ms = self.open_bars.next_id, now_ms

    def _publish(self, channel: Channel, now_ms: int, publish: Publish) -> None:
        timeframe = channel.timeframe
        if timeframe is None:
            if day := self.open_bars.day():
                told = frames.ticker(frames.UPDATE, self.listing, day, now_ms)
                publish(channel, channel.info, told)
            return
        open_ms = timeframe.floor(now_ms)
        for bar in self._traded(timeframe, open_ms, open_ms, now_ms):
            told = frames.candles(frames.UPDATE, self.listing, timeframe, [bar], now_ms)
            is_last = self._is_last(timeframe, now_ms)
            publish(channel, channel.last if is_last else channel.info, told)

    def _is_last(self, timeframe: Timeframe, now_ms: int) -> bool:
        """Tell whether nothing more will be traded in a bar: it ends with this minute."""
        minute, minute_ms = self.open_bars.minute, Timeframe.M1.floor(now_ms)
        if minute is None or (minute_ms + MINUTE_MS) % timeframe.ms:
            return False
        final = self.symbol_market.bars(Timeframe.M1, minute_ms, minute_ms + 1)
        return bool(final) and final[0].trades == minute.trades

    def _traded(self, timeframe: Timeframe, first_ms: int, last_ms: int, now_ms: int) -> list[Bar]:
        bars = self.symbol_market.bars_at(timeframe, first_ms, last_ms, now_ms)
        return [bar for bar in bars if bar.trades]
