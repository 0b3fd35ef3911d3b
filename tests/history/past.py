"""A pair's past: most of it in history, the newest in the cache."""

import time

from exchanges.models import Exchange
from history.store.store import HistoryStore
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache

H1 = Timeframe.H1
BTC = "BTC-USD"
KEPT, CACHED = 3000, 100  # hours that history has, and the newest of which the cache has


class Past:
    """A pair's 3,000 hours up to now: all but the newest 50 in history, 100 in the cache."""

    def __init__(self, folder, redis):
        row = Exchange.objects.get(name="sandbox")
        row.symbols.create(
            symbol=BTC, base="BTC", quote="USD", native_symbol="BTCUSD", is_monitored=True
        )
        self.row = row
        self.open_ms = H1.floor(int(time.time() * 1000))
        self.first_ms = self.open_ms - KEPT * H1.ms
        self.candles = [
            Candle(self.first_ms + at * H1.ms, 100.5, 102.25, 99.125, 101 + at / 10_000, 0.125, H1)
            for at in range(KEPT)
        ]
        self.store, self.cache = HistoryStore(folder, row), CandleCache(redis, row.pk)
        kept_ms = self.open_ms - 50 * H1.ms
        self.store.write(Pair(BTC, H1), self.candles, ((self.first_ms, kept_ms),))
        newest = self.candles[-CACHED:]
        self.cache.write(BTC, H1, newest, ((newest[0].timestamp, self.open_ms),))
        self.open_candle = Candle(self.open_ms, 101.7, 103, 101, 102.5, 0.25, H1)
        self.cache.set_live(BTC, self.open_candle)

    def rows(self, first=0, last=KEPT):
        return [each.row() for each in self.candles[first:last]]
