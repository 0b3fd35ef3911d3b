"""The candles of each pair that is asked for, kept in memory for as long as Redis has the same."""

import logging
import threading
import time
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis

from exchanges.redis.unreadable import warn_once
from livermore.market import keys
from livermore.market.candle import LATEST_MS, Candle
from livermore.market.coverage import Coverage, Interval, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.selection import Selection
from serving.directory import ServedExchange
from serving.memory.rendered import Rendered
from serving.memory.stored import StoredRows
from serving.memory.tracking import Changes, Tracking
from serving.standing.origins import EventOrigins, Origins
from warmup.cache.candles import CandleCache
from warmup.cache.unconfirmed import Stretches, settled_empty

logger = logging.getLogger(__name__)

LIVE_SECONDS = 0.25  # for which an open candle is shown again: exchanges tell it every two seconds
AHEAD_SECONDS = 0.05  # before that is over it is read anew, and nobody waits for that
SECONDS_ASKED = 1.0  # for which an open candle is read with others, once it was asked for
MOST_TOGETHER = 500
MOST_BYTES = 120_000_000
TIMES_AS_LARGE = 3  # as its rows in Redis a window gets, with what is made of them

Key = tuple[int, Pair]  # an exchange's id and a pair of it


@dataclass(slots=True)
class Window:
    """A pair's closed candles, `[timestamp, open, …]` ascending, and when all of them are known."""

    times: Sequence[int]
    rows: StoredRows
    coverage: Coverage
    origins: Origins = field(default_factory=Origins)  # of its candles
    rendered: dict[str, Rendered] = field(default_factory=dict)  # by whoever writes them
    derived: dict[str, "Window"] = field(default_factory=dict)  # of longer timeframes
    earlier: dict[str, "Window"] = field(default_factory=dict)  # those of the state before
    same_until_ms: int = 0  # when the last row opened that this has in common with that
    selected: dict[Hashable, Selection] = field(default_factory=dict)  # by what was wanted
    # The open candle that was shown last, as it was written.
    open_row: tuple[list[Any], bytes] | None = None
    is_readable: bool = True  # else some of what is stored is no candle

    def take_over(self, before: "Window") -> None:
        """Take what was made of an earlier state of the same pair, as far as that still holds."""
        if not self.times:
            return
        gone = bisect_left(before.times, self.times[0])
        if not self.rows.goes_on_with(before.rows, gone):
            return
        found = ((form, rows.behind(gone)) for form, rows in before.rendered.copy().items())
        self.rendered = {form: rows for form, rows in found if rows}
        if gone < len(before.times):
            self.earlier = before.derived.copy()
            self.same_until_ms = before.times[-1]


@dataclass(slots=True)
class _Kept:
    """A window with what it stands on: it holds while none of that is another one."""

    changed: int  # the number of the last change of its keys, when it was read
    unconfirmed: Stretches
    window: Window
    size: int


class Windows:
    """Reads windows in the thread that asks; any number of threads may.

    Those that were asked for last are kept, as many as have room.
    """

    def __init__(self, redis: Redis):
        self._redis = redis
        self._origins = EventOrigins(redis)
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._bytes = 0
        self._names: dict[Key, tuple[bytes, bytes]] = {}
        self._unconfirmed_names: dict[int, bytes] = {}
        self._live: dict[Key, tuple[float, Candle | None]] = {}
        self._asked: dict[int, dict[Pair, float]] = {}  # when open candles were, by exchange
        self._reading: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        # By exchange, each with the number of its last change.
        self._unconfirmed: dict[int, tuple[int, dict[Pair, Stretches]]] = {}
        self._lock = threading.Lock()
        self._changes = Changes()
        self._tracking = Tracking(redis, keys.of_candles(), self._changes.note)

    def start(self) -> None:
        self._tracking.start()

    def close(self) -> None:
        self._tracking.close()

    def kept(self, exchange_id: int, pair: Pair) -> Window | None:
        """Return a window that is in memory and still so in Redis, None where it has to be read."""
        found = self._kept.get((exchange_id, pair))
        if found is None or not self._tracking.is_live:
            return None
        changed, unconfirmed = self._unconfirmed[exchange_id]
        if changed != self._unconfirmed_changed(exchange_id):
            return None
        is_same = found.changed == self._pair_changed(exchange_id, pair)
        if not is_same or found.unconfirmed != unconfirmed.get(pair, ()):
            return None
        with self._lock, suppress(KeyError):  # it may be gone by now
            self._kept.move_to_end((exchange_id, pair))
        return found.window

    def current(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Return a window that is still so in Redis, from there where need be. Raises RedisError.

        What is unconfirmed changes for all pairs together: a window holds where its own has not.
        """
        number = exchange.exchange_id
        if self._tracking.is_live and (number, pair) in self._kept:
            self._read_unconfirmed(CandleCache(self._redis, number), number)
        return self.kept(number, pair) or self.read(exchange, pair)

    def read(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Return a window as Redis has it now. Raises RedisError."""
        exchange_id = exchange.exchange_id
        changed = self._pair_changed(exchange_id, pair)
        cache = CandleCache(self._redis, exchange_id)
        unconfirmed = self._read_unconfirmed(cache, exchange_id).get(pair, ())
        ((_, members, coverage),) = cache.windows([pair])
        before = self._kept.get((exchange_id, pair))
        rows = StoredRows(members)
        empty = settled_empty(unconfirmed, pair.timeframe, exchange.lag_ms)
        known = union([*coverage, *empty])
        if not rows.are_usual(before.window.rows if before else None):
            name = keys.candles(exchange_id, *pair)
            rows, known = _readable(members, known, pair.timeframe, name)
        origins = self._origins.of(exchange_id, pair)
        is_readable = len(rows) == len(members)
        window = Window(rows.times(), rows, known if rows else (), origins, is_readable=is_readable)
        if before:
            window.take_over(before.window)
        size = TIMES_AS_LARGE * len(rows.text)
        self._keep((exchange_id, pair), _Kept(changed, unconfirmed, window, size))
        return window

    def _keep(self, key: Key, kept: _Kept) -> None:
        with self._lock:
            if before := self._kept.pop(key, None):
                self._bytes -= before.size
            self._kept[key] = kept
            self._bytes += kept.size
            while self._bytes > MOST_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].size

    def kept_live(self, exchange_id: int, pair: Pair) -> tuple[bool, Candle | None]:
        """Return whether the open candle was read lately, and what was read."""
        now = time.monotonic()
        self._asked.setdefault(exchange_id, {})[pair] = now
        found = self._live.get((exchange_id, pair))
        if found and now - found[0] < LIVE_SECONDS:
            return True, found[1]
        return False, None

    def is_live_due(self, exchange_id: int, pair: Pair) -> bool:
        """Tell whether an open candle was not read, or is soon too old to be shown."""
        found = self._live.get((exchange_id, pair))
        return found is None or time.monotonic() - found[0] >= LIVE_SECONDS - AHEAD_SECONDS

    def read_live(self, exchange_id: int, pair: Pair) -> Candle | None:
        """Return the open candle, None where there is none. Raises RedisError.

        Those that were asked for lately are read with it, if that is due.
        """
        with self._reading[exchange_id]:
            if not self.is_live_due(exchange_id, pair):  # it was read while this thread waited
                return self._live[exchange_id, pair][1]
            now = time.monotonic()
            asked = self._asked[exchange_id] = {
                each: at
                for each, at in self._asked[exchange_id].copy().items()
                if now - at < SECONDS_ASKED
            }
            others = tuple(asked)  # whoever asks meanwhile adds to these
            due = (each for each in others if each != pair and self.is_live_due(exchange_id, each))
            pairs = [pair, *due][:MOST_TOGETHER]
            found = CandleCache(self._redis, exchange_id).lives(pairs)
            self._live.update(
                {(exchange_id, each): (now, live) for each, live in zip(pairs, found, strict=True)}
            )
            return found[0]

    def _read_unconfirmed(self, cache: CandleCache, exchange_id: int) -> dict[Pair, Stretches]:
        changed = self._unconfirmed_changed(exchange_id)
        found = self._unconfirmed.get(exchange_id)
        if found is None or found[0] != changed or not self._tracking.is_live:
            found = self._unconfirmed[exchange_id] = changed, cache.unconfirmed()
        return found[1]

    def _unconfirmed_changed(self, exchange_id: int) -> int:
        name = self._unconfirmed_names.get(exchange_id)
        if name is None:
            name = self._unconfirmed_names[exchange_id] = keys.unconfirmed(exchange_id).encode()
        return self._changes.last(name)

    def _pair_changed(self, exchange_id: int, pair: Pair) -> int:
        names = self._names.get((exchange_id, pair))
        if names is None:
            found = keys.candles(exchange_id, *pair), keys.coverage(exchange_id, *pair)
            names = self._names[exchange_id, pair] = found[0].encode(), found[1].encode()
        return self._changes.last(*names)


def _readable(
    members: Sequence[bytes], known: Coverage, timeframe: Timeframe, name: str
) -> tuple[StoredRows, Coverage]:
    """Return which rows of a key are candles, and what is known without the bars of the others."""
    found: list[bytes] = []
    doubtful: list[Interval] = []
    end_ms, is_behind_another = 0, False  # where the last candle ends; what is behind that
    for member in members:
        try:
            opened_ms = Candle.of_values(orjson.loads(member), timeframe).timestamp
        except (ValueError, TypeError) as error:
            warn_once(logger, name, error)
            is_behind_another = True
            continue
        if is_behind_another:
            doubtful.append((end_ms, opened_ms))
        found.append(member)
        end_ms, is_behind_another = opened_ms + timeframe.ms, False
    if is_behind_another:
        doubtful.append((end_ms, LATEST_MS))
    return StoredRows(found), subtract(known, doubtful)
