"""A cache that is filled from the sandbox's truth as a runner does, and what history has of it."""

import orjson

from history.following.copying import CacheCopying
from history.following.kept import kept_of
from history.following.news import EventNews
from history.models import KeptHistory
from history.store.store import HistoryStore
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.columns import COLUMNS
from livermore.market.pair import pairs_of
from livermore.market.timeframe import LONGEST_FIRST
from tests.warmup.runners import true_rows
from warmup.cache.candles import CandleCache

NAMES = ("timestamp", "open", "high", "low", "close", "volume", *COLUMNS)


class Told:
    """Writes what closed into the cache, and tells it."""

    def __init__(self, redis, sandbox, row, symbols, timeframes=LONGEST_FIRST):
        self.redis, self.sandbox, self.row = redis, sandbox, row
        self.pairs = pairs_of(symbols, timeframes)
        self.cache = CandleCache(redis, row.pk)

    def close(self, start_ms, end_ms, told=True):
        """Let all that opened in a stretch and closed by its end be there, and be told."""
        for pair in self.pairs:
            covered = pair.timeframe.ceil(start_ms), pair.timeframe.floor(end_ms)
            if covered[0] < covered[1]:
                rows = true_rows(self.sandbox, self.row, *pair, *covered)
                self.write(pair, rows, covered, told)

    def write(self, pair, rows, covered, told=True):
        candles = [Candle.of_values(each, pair.timeframe) for each in rows]
        self.cache.write(*pair, candles, (covered,))
        pipe = self.redis.pipeline(transaction=False)
        for row in rows if told else ():
            event = {"symbol": pair.symbol, "timeframe": pair.timeframe}
            event |= dict(zip(NAMES, row, strict=False))
            pipe.xadd(keys.events(self.row.pk), {"event": orjson.dumps(event)})
        pipe.execute()


class Copied:
    """Copies as rounds do, and compares history with the sandbox's truth."""

    def __init__(self, told, folder):
        self.told, self.folder = told, folder
        self.store = HistoryStore(folder, told.row)
        self.news = EventNews(told.redis, told.row.pk)

    def copy(self):
        """Return how many pairs were looked at."""
        kept = kept_of(KeptHistory.objects.get(exchange=self.told.row))
        news = self.news.read()
        copying = CacheCopying(self.told.redis, self.told.row.pk, lambda: False)
        found = copying.copy(self.store, kept, news)
        self.news.acknowledge(news)
        return found.pairs

    def faults(self, start_ms, end_ms):
        """Return what of a stretch history has otherwise than the sandbox does."""
        return faults(self.told, self.folder, start_ms, end_ms)


def faults(told, folder, start_ms, end_ms):
    """Return what of a stretch history has otherwise than the sandbox does, a line each."""
    store, found = HistoryStore(folder, told.row), []
    for pair in told.pairs:
        first, last = pair.timeframe.ceil(start_ms), pair.timeframe.floor(end_ms)
        if first >= last:
            continue
        stretch = store.read(pair, first, last)
        if stretch.covered != ((first, last),):
            found.append(f"{pair}: {stretch.covered} in place of {(first, last)}")
        if stretch.rows != [
            list(each) for each in true_rows(told.sandbox, told.row, *pair, first, last)
        ]:
            found.append(f"{pair}: other rows")
    return found
