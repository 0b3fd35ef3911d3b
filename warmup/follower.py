"""Closed candles -> MACD-V: once from the cache, then with every close that the events tell."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.fencing import Fenced
from exchanges.instances import own_client
from livermore.market import keys
from livermore.market.coverage import Coverage, missing
from livermore.market.indicators import MacdVState
from livermore.market.pair import Pair
from livermore.market.timeframe import parse_timeframe
from warmup.cache import CANDLES_KEPT, CandleCache
from warmup.indicator_cache import IndicatorCache
from warmup.scanner import MIN_CANDLE_THRESHOLD

logger = logging.getLogger(__name__)

EVENTS_PER_READ = 1000
BLOCK_MS = 250  # also how long a change that no event tells of may wait
SOCKET_SECONDS = 5.0
SECONDS_AFTER_FAULT = 0.5
# What was taken in long ago weighs nothing any more, but the window told should stay near the
# cache's: at this length it is read anew.
LONGEST_WINDOW_BARS = 2 * CANDLES_KEPT
ROW = ("timestamp", "open", "high", "low", "close", "volume")


@dataclass(slots=True)
class Window:
    """What one pair's value stands on: all candles since it was read from the cache."""

    state: MacdVState
    complete: bool  # the cache vouches for every bar from the first to the last

    def advance(self, event: dict[str, Any]) -> bool:
        """Take a close in where that is exact; return whether the window holds it now."""
        state, time = self.state, event["timestamp"]
        if time <= state.last_ms:
            return True  # it was in the cache already when the window was read
        length = state.timeframe.ms
        if time > state.last_ms + length or time - state.first_ms > LONGEST_WINDOW_BARS * length:
            return False
        state.extend([[event[name] for name in ROW]])
        return True


class IndicatorFollower:
    """Keeps MACD-V of one exchange's pairs current, reading nothing but the cache.

    `compute` takes pairs in, `start` follows the closes after that in a thread. A close that
    follows the last bar is added to the sums of those before; whatever else may have changed
    (`changed`: a repair, a backfill; a close after bars without trades) is computed from the
    pair's whole window again. `error` is what ended the thread, None where it was told to end.
    """

    def __init__(self, redis: Redis, exchange_id: int, epoch: int | None = None):
        self._redis = own_client(redis, SOCKET_SECONDS)
        self._exchange_id = exchange_id
        self._cache = CandleCache(self._redis, exchange_id)
        self._indicators = IndicatorCache(self._redis, exchange_id, epoch)
        self._key = keys.events(exchange_id)
        self._windows: dict[Pair, Window | None] = {}  # None: too few candles
        self._changed: set[Pair] = set()
        self._lock = threading.Lock()
        self._last_id = b"0-0"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indicators", daemon=True)
        self.error: Exception | None = None

    def compute(self, pairs: Sequence[Pair]) -> None:
        """Compute every pair from the cache; closes that are told from here on are followed.

        Raises RedisError, and Fenced once another holder has the exchange.
        """
        newest = self._redis.xrevrange(self._key, count=1)
        self._last_id = newest[0][0] if newest else b"0-0"
        self._windows = dict.fromkeys(pairs)
        self._recompute(pairs)

    def start(self) -> None:
        """Follow the closes from the last `compute` on."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after what it is at."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._redis.close()

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
        """Wait so long for closes; bring the pairs that they or a repair changed up to date."""
        found = self._redis.xread({self._key: self._last_id}, EVENTS_PER_READ, block_ms)
        entries = _entries(found)
        with self._lock:
            changed, self._changed = self._changed, set()
        try:
            self._take([orjson.loads(fields[b"event"]) for _, fields in entries], changed)
        except RedisError:
            # Taken in and not written: what is in the cache tells all of it again.
            with self._lock:
                self._changed |= changed.union(self._windows if entries else ())
            raise
        if entries:
            self._last_id = entries[-1][0]

    # -- the thread

    def _run(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                if failing:
                    self._look_for_gap()
                self.step()
                failing = False
            except RedisError as error:
                if not failing:
                    logger.warning(
                        "follower.failing exchange=%d error=%s", self._exchange_id, error
                    )
                failing = True
                self._stopping.wait(SECONDS_AFTER_FAULT)
            except Fenced:
                return  # the runner learns it from its lease
            except Exception as error:
                logger.exception("follower.died exchange=%d", self._exchange_id)
                self.error = error
                return

    def _look_for_gap(self) -> None:
        """Compute everything anew where events went by that were trimmed before we read them."""
        oldest = self._redis.xrange(self._key, count=1)
        if oldest and _order(oldest[0][0]) > _order(self._last_id):
            with self._lock:
                self._changed.update(self._windows)

    def _take(self, events: list[dict[str, Any]], changed: set[Pair]) -> None:
        updated: set[Pair] = set()
        for event in events:
            pair = Pair(event["symbol"], parse_timeframe(event["timeframe"]))
            if pair in changed or pair not in self._windows:
                continue
            window = self._windows[pair]
            if window is None or not window.advance(event):
                changed.add(pair)
            else:
                updated.add(pair)
        self._indicators.write_many(
            {pair: self._value(pair, self._windows[pair]) for pair in updated - changed}
        )
        self._recompute([pair for pair in changed if pair in self._windows])

    def _recompute(self, pairs: Sequence[Pair]) -> None:
        values = {}
        for pair, rows, coverage in self._cache.windows(pairs):
            window = _read(pair, rows, coverage)
            with self._lock:
                if pair not in self._windows:
                    continue  # removed meanwhile
                self._windows[pair] = window
            values[pair] = self._value(pair, window)
        self._indicators.write_many(values)

    def _value(self, pair: Pair, window: Window | None) -> dict[str, Any] | None:
        if window is None:
            return None
        found = window.state.result()
        return {
            "exchangeId": self._exchange_id,
            "symbol": pair.symbol,
            "timeframe": pair.timeframe,
            "timestamp": found.last_ms,
            "value": found.value,
            "signal": found.signal,
            "histogram": found.histogram,
            "ema12": found.ema12,
            "ema26": found.ema26,
            "atr": found.atr,
            "stage": found.stage,
            "reason": found.reason,
            "seeded": found.seeded,
            "nEff": found.n_eff,
            "spanBars": found.span_bars,
            "liquidity": found.liquidity,
            "firstTimestamp": found.first_ms,
            "lastTimestamp": found.last_ms,
            "coverageComplete": window.complete,
        }


def _read(pair: Pair, rows: list[list], coverage: Coverage) -> Window | None:
    if len(rows) < MIN_CANDLE_THRESHOLD:
        return None
    timeframe = pair.timeframe
    state = MacdVState(timeframe)
    try:
        state.extend(rows)
    except (ValueError, TypeError) as error:  # written by somebody else: no reason to stop
        logger.error("follower.unreadable pair=%s/%s error=%s", *pair, error)
        return None
    return Window(state, not missing(coverage, rows[0][0], rows[-1][0] + timeframe.ms))


def _entries(found: Any) -> list:
    if isinstance(found, dict):  # as the newer protocol says it
        return [entry for batches in found.values() for batch in batches for entry in batch]
    return found[0][1] if found else []


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number or 0)
