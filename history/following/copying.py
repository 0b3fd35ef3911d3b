"""From the cache into history: what history lacks, and what may have changed."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from redis import Redis

from exchanges.lock.status import read_exchange_time
from history.following.kept import Kept
from history.following.news import News
from history.store.store import HistoryStore
from livermore.market.coverage import Coverage, believable, subtract
from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache

logger = logging.getLogger(__name__)

# A repair asks for the rows beside a hole again, and may find them changed; no event tells that.
BARS_COMPARED = 10
Known = dict[Pair, Coverage]


class Copied(NamedTuple):
    """How many pairs were looked at; `is_whole`: none of them was left out, as it ends."""

    pairs: int
    is_whole: bool


def time_now_ms(redis: Redis, exchange_id: int) -> int:
    """Return the exchange's time as its runner tells it, else this machine's."""
    told_ms = read_exchange_time(redis, exchange_id)
    return int(time.time() * 1000) if told_ms is None else told_ms


class CacheCopying:
    """Brings the history of one exchange up to what its cache holds."""

    def __init__(self, redis: Redis, exchange_id: int, is_ending: Callable[[], bool]):
        self._redis = redis
        self._exchange_id = exchange_id
        self._cache = CandleCache(redis, exchange_id)
        self._is_ending = is_ending

    def copy(self, store: HistoryStore, kept: Kept, news: News) -> Copied:
        """Write what history lacks of the cache, and of pairs with news from there on.

        Where events may have gone by, everything that the cache holds is compared. What is there
        already is not written again, so that all of it may be done any number of times.
        """
        starts = self._starts(store, kept, news)
        now_ms = time_now_ms(self._redis, self._exchange_id)
        done = 0
        for pair, candles, covered in self._cache.since(starts):
            if self._is_ending():
                return Copied(done, False)
            covered = believable(covered, pair.timeframe, now_ms, pair.timeframe.ms)
            if covered:
                store.write(pair, candles, covered)
            done += 1
        return Copied(done, True)

    def _starts(self, store: HistoryStore, kept: Kept, news: News) -> dict[Pair, int]:
        """Return from which open time on each pair is to be read, of those that have news."""
        pairs, known = kept.pairs, store.coverages()
        found = {}
        for pair, cached in zip(pairs, self._cache.coverages(pairs), strict=True):
            since_ms = pair.timeframe.ceil(kept.since_ms)
            if news.is_gap:
                found[pair] = since_ms
                continue
            there = known[pair][0] if pair in known else ()
            lacking = subtract(cached, ((0, since_ms), *there))
            times = [start for start, _ in lacking[:1]]
            times += [news.since[pair]] if pair in news.since else []
            if times:
                found[pair] = max(since_ms, min(times) - BARS_COMPARED * pair.timeframe.ms)
        return found
