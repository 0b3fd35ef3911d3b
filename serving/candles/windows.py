"""The candles of each pair that is asked for, kept in memory for as long as Redis has the same."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
from redis import Redis

from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.tracking import Tracking
from serving.directory import ServedExchange
from warmup.cache.candles import CandleCache
from warmup.cache.unconfirmed import EMPTY, Stretches

LIVE_SECONDS = 0.25  # for which an open candle is shown again: exchanges tell it every two seconds
PAIRS_KEPT = 5_000

# How often everything changed, since then what is asked about, and whether its stream comes.
Version = tuple[int, int, bool]


@dataclass(slots=True)
class Window:
    """A pair's closed candles, `[timestamp, open, …]` ascending, and when all of them are known."""

    times: list[int]
    rows: list[list]
    coverage: Coverage
    rendered: dict[str, list[bytes]] = field(default_factory=dict)  # by whoever writes them
    derived: dict[str, "Window"] = field(default_factory=dict)  # of longer timeframes


class Windows:
    """Reads windows in the thread that asks; any number of threads may."""

    def __init__(self, redis: Redis, is_connected: Callable[[int], bool] = lambda number: False):
        """`is_connected` tells of an exchange whether all of its stream comes."""
        self._redis = redis
        self._is_connected = is_connected
        self._kept: OrderedDict[tuple[int, Pair], tuple[Version, Window]] = OrderedDict()
        self._live: dict[tuple[int, Pair], tuple[float, Candle | None]] = {}
        self._unconfirmed: dict[int, tuple[Version, dict[Pair, Stretches]]] = {}
        self._changes: dict[bytes, int] = {}  # key -> how often it changed
        self._all = 0  # how often all of them did
        self._lock = threading.Lock()
        self._tracking = Tracking(redis, keys.of_candles(), self._changed)

    def start(self) -> None:
        self._tracking.start()

    def close(self) -> None:
        self._tracking.close()

    def kept(self, exchange_id: int, pair: Pair) -> Window | None:
        """Return a window that is in memory and still so in Redis, None where it has to be read."""
        found = self._kept.get((exchange_id, pair))
        if found and self._tracking.is_live and found[0] == self._version(exchange_id, pair):
            return found[1]
        return None

    def read(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Return a window from Redis. Raises RedisError."""
        exchange_id = exchange.exchange_id
        version = self._version(exchange_id, pair)
        cache = CandleCache(self._redis, exchange_id)
        unconfirmed = self._read_unconfirmed(cache, exchange_id).get(pair, ())
        ((_, members, coverage),) = cache.windows([pair])
        rows = [orjson.loads(member) for member in members]
        empty = told_empty(unconfirmed, pair.timeframe, self.lag_ms(exchange))
        known = union([*coverage, *empty]) if members else ()
        window = Window([row[0] for row in rows], rows, known)
        with self._lock:
            self._kept[exchange_id, pair] = version, window
            self._kept.move_to_end((exchange_id, pair))
            while len(self._kept) > PAIRS_KEPT:
                self._kept.popitem(last=False)
        return window

    def lag_ms(self, exchange: ServedExchange) -> int:
        """Return how long after its end an answer without a row says nothing of a bar yet.

        While trades are streamed, and none came, that answer is not alone.
        """
        is_connected = self._is_connected(exchange.exchange_id)
        return 0 if exchange.omits and is_connected else exchange.lag_ms

    def kept_live(self, exchange_id: int, pair: Pair) -> tuple[bool, Candle | None]:
        """Return whether the open candle was read lately, and what was read."""
        found = self._live.get((exchange_id, pair))
        if found and time.monotonic() - found[0] < LIVE_SECONDS:
            return True, found[1]
        return False, None

    def read_live(self, exchange_id: int, pair: Pair) -> Candle | None:
        """Return the open candle, None where there is none. Raises RedisError."""
        candle = CandleCache(self._redis, exchange_id).live(*pair)
        self._live[exchange_id, pair] = time.monotonic(), candle
        return candle

    def _read_unconfirmed(self, cache: CandleCache, exchange_id: int) -> dict[Pair, Stretches]:
        changes = self._changes.get(keys.unconfirmed(exchange_id).encode(), 0)
        version = self._all, changes, False
        found = self._unconfirmed.get(exchange_id)
        if found is None or found[0] != version or not self._tracking.is_live:
            found = self._unconfirmed[exchange_id] = version, cache.unconfirmed()
        return found[1]

    def _version(self, exchange_id: int, pair: Pair) -> Version:
        names = (
            keys.candles(exchange_id, *pair),
            keys.coverage(exchange_id, *pair),
            keys.unconfirmed(exchange_id),
        )
        changes = sum(self._changes.get(name.encode(), 0) for name in names)
        return self._all, changes, self._is_connected(exchange_id)

    def _changed(self, names: Sequence[bytes] | None) -> None:
        if names is None:
            self._all += 1
            self._changes = {}
            return
        for name in names:
            self._changes[name] = self._changes.get(name, 0) + 1


def told_empty(known: Stretches, timeframe: Timeframe, lag_ms: int) -> Coverage:
    """Return the stretches told without a row when the exchange was no longer late with them.

    That is as much as anybody can know of them now.
    """
    return union(
        (each.start_ms, min(each.end_ms, timeframe.floor(each.seen_ms - lag_ms)))
        for each in known
        if each.reason == EMPTY
    )
