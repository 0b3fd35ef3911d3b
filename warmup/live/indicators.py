"""Closed candles -> MACD-V: once from the cache, then with every close that the events tell."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.control import entries_in
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import parse_timeframe
from warmup.cache.candles import PAIRS_PER_WINDOWS, CandleCache
from warmup.cache.indicator_window import ROW, Window
from warmup.cache.indicators import IndicatorCache

logger = logging.getLogger(__name__)

Event = tuple[Pair, Mapping[str, Any]]

EVENTS_PER_READ = 1000
BLOCK_MS = 250  # also how long a change that no event tells of may wait
SECONDS_TOGETHER = 0.05  # for closes that come together to be out before they are computed
NOTHING = b"0-0"  # the id before the first


class IndicatorFollower:
    """Keeps MACD-V of one exchange's pairs current, reading nothing but the cache.

    `compute` takes pairs in, one thread calls `follow` again and again after that. A close is added
    to the sums of those before where that is exact; else, and where candles were written that
    nobody told (`changed`: a repair, a backfill), a pair is computed from its window again.
    `may_write` is asked before each step.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        epoch: int | None = None,
        may_write: Callable[[], bool] = lambda: True,
    ):
        """`redis` has to wait longer for an answer than a step does for closes."""
        self._redis = redis
        self._exchange_id = exchange_id
        self._cache = CandleCache(redis, exchange_id)
        self._indicators = IndicatorCache(redis, exchange_id, epoch)
        self._may_write = may_write
        self._key = keys.events(exchange_id)
        self._windows: dict[Pair, Window | None] = {}  # None: too few candles
        self._changed: set[Pair] = set()
        self._lock = threading.Lock()
        self._last_id = NOTHING
        self._left_told = False
        self._failing = False

    def compute(self, pairs: Sequence[Pair], stopping: Callable[[], bool] = lambda: False) -> None:
        """Compute every pair from the cache; closes that are told from here on are followed.

        It is broken off where `stopping` says so. Raises RedisError, and Fenced once another
        holder has the exchange.
        """
        self._begin(pairs)
        self._recompute(pairs, stopping)

    def _begin(self, pairs: Sequence[Pair]) -> None:
        newest: Any = self._redis.xrevrange(self._key, count=1)
        self._last_id = newest[0][0] if newest else NOTHING
        self._windows = dict.fromkeys(pairs)

    def load(self, pairs: Sequence[Pair], stopping: Callable[[], bool] = lambda: False) -> None:
        """Do what `compute` does without writing: somebody else keeps the values still."""
        self._begin(pairs)
        for _ in self._computed(pairs, stopping):
            pass

    def under(self, epoch: int, may_write: Callable[[], bool]) -> None:
        """Write under this epoch from now on."""
        self._indicators.under(epoch)
        self._may_write = may_write

    def follow(self, block_ms: int = BLOCK_MS) -> bool:
        """Do a step; where Redis is gone, say so once and return False: the next one catches up.

        Raises Fenced.
        """
        try:
            if self._failing:
                self._look_for_gap()
            self.step(block_ms)
            self._failing = False
        except RedisError as error:
            if not self._failing:
                logger.warning("follower.failing exchange=%d error=%s", self._exchange_id, error)
            self._failing = True
        return not self._failing

    def add(self, pairs: Iterable[Pair]) -> None:
        """Follow more pairs; any thread may call it, as those below."""
        pairs = list(pairs)
        with self._lock:
            self._windows |= dict.fromkeys(pairs)
            self._changed.update(pairs)

    def remove(self, pairs: Iterable[Pair]) -> None:
        """Leave pairs alone from now on."""
        with self._lock:
            for pair in pairs:
                self._windows.pop(pair, None)

    def changed(self, pair: Pair) -> None:
        """Learn that candles of a pair were written that no event tells of."""
        with self._lock:
            if pair in self._windows:
                self._changed.add(pair)

    def step(self, block_ms: int = BLOCK_MS) -> None:
        """Wait so long for closes; bring the pairs that they or a repair changed up to date.

        Where that fails the next step does it again: the closes are read once more.
        """
        if not self._may_write():
            time.sleep(block_ms / 1000)
            return
        entries = entries_in(self._redis.xread({self._key: self._last_id}, 1, block_ms or None))
        if entries:  # of closes that come together the first is told while the last are read
            time.sleep(SECONDS_TOGETHER)
            found = self._redis.xread({self._key: self._last_id}, EVENTS_PER_READ)
            entries = entries_in(found)
        with self._lock:
            windows = dict(self._windows)
            changed, self._changed = self._changed, set()
        try:
            self._take(_events(entries), windows, changed)
        except RedisError:
            with self._lock:
                self._changed |= changed
            raise
        if entries:
            self._last_id = entries[-1][0]

    def _look_for_gap(self) -> None:
        """Compute everything anew where events may have gone by before we read them."""
        oldest: Any = self._redis.xrange(self._key, count=1)
        first = _order(oldest[0][0] if oldest else NOTHING)
        known = _order(self._last_id)
        if first > known or (not oldest and known > _order(NOTHING)):
            with self._lock:
                self._changed.update(self._windows)

    def _take(
        self, events: Sequence[Event], windows: dict[Pair, Window | None], changed: set[Pair]
    ) -> None:
        """Advance `windows` by events; compute those of `changed`, and of what isn't exact."""
        after_gap = {
            pair
            for pair, event in events
            if pair not in changed and (window := windows.get(pair)) and window.leaves_gap(event)
        }
        coverages = dict(zip(after_gap, self._cache.coverages(list(after_gap)), strict=True))
        updated: dict[Pair, Window] = {}
        for pair, event in events:
            if pair in changed or pair not in windows:
                continue
            window = windows[pair]
            if window and window.advance(event, coverages.get(pair)):
                updated[pair] = window
            else:
                changed.add(pair)
                updated.pop(pair, None)
        self._write({pair: window.as_json(self._exchange_id) for pair, window in updated.items()})
        self._recompute([pair for pair in changed if pair in windows])

    def _recompute(
        self, pairs: Sequence[Pair], stopping: Callable[[], bool] = lambda: False
    ) -> None:
        for values in self._computed(pairs, stopping):
            self._write(values)

    def _computed(
        self, pairs: Sequence[Pair], stopping: Callable[[], bool]
    ) -> Iterator[dict[Pair, dict[str, Any] | None]]:
        """Compute pairs from the cache; yield their values, some at a time."""
        for begin in range(0, len(pairs), PAIRS_PER_WINDOWS):
            if stopping():
                return
            values: dict[Pair, dict[str, Any] | None] = {}
            chunk = pairs[begin : begin + PAIRS_PER_WINDOWS]
            for pair, members, coverage in self._cache.windows(chunk):
                window = Window.read(pair, members, coverage)
                with self._lock:
                    if pair not in self._windows:
                        continue  # removed meanwhile
                    self._windows[pair] = window
                values[pair] = window.as_json(self._exchange_id) if window else None
            yield values

    def _write(self, values: Mapping[Pair, dict[str, Any] | None]) -> None:
        left = self._indicators.write_many(values)
        if left and not self._left_told:
            self._left_told = True
            logger.warning("follower.newer_left_alone exchange=%d", self._exchange_id)


def _events(entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> list[Event]:
    """Return the closes of stream entries, without those that somebody else wrote there."""
    found = []
    for entry_id, fields in entries:
        try:
            event = orjson.loads(fields[b"event"])
            pair = Pair(event["symbol"], parse_timeframe(event["timeframe"]))
            Candle.of_values([event[name] for name in ROW], pair.timeframe)
        except (ValueError, TypeError, LookupError) as error:
            logger.error("follower.unreadable entry=%s error=%s", entry_id.decode(), error)
        else:
            found.append((pair, event))
    return found


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number or 0)
