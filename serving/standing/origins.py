"""How candles came into the cache, as far as the events of an exchange still tell it.

Every close that is streamed, or asked for in its place ("healed"), is told on the events stream. A
candle without such an event was fetched over REST, unless its event was trimmed: then nobody knows.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from redis import Redis
from redis.exceptions import ResponseError

from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import parse_timeframe

HEADER = "X-Livermore-Source"
STREAM, HEALED, REST = "stream", "healed", "rest"
DERIVED = "derived"  # in place of these: made of shorter ones
ORDER = (STREAM, HEALED, REST)
MOST_EVENTS = 10_000  # that are read at first: 30 ms
AT_ONCE = 5_000
RUNS_KEPT = 200  # of each pair


class Run(NamedTuple):
    """Closes told one after the other in the same way: of bars that opened from `first_ms` on."""

    first_ms: int
    last_ms: int
    healed: bool


class Origins(NamedTuple):
    """What is known of one pair: runs, ascending, and whether these are all that ever were."""

    runs: Sequence[Run] = ()
    is_whole: bool = False

    def of(self, times: Sequence[int]) -> set[str]:
        """Return how the candles of these times came, ascending; of some nothing may be known."""
        found, known = set(), 0
        for run in self.runs:
            told = bisect_right(times, run.last_ms) - bisect_left(times, run.first_ms)
            if told:
                known += told
                found.add(HEALED if run.healed else STREAM)
        since = bisect_left(times, self.runs[0].first_ms) if self.runs else len(times)
        if len(times) - (0 if self.is_whole else since) > known:
            found.add(REST)
        return found


def source(origins: Iterable[str]) -> dict[str, str]:
    """Return the header that says so, none where nothing is known."""
    known = set(origins)
    said = ", ".join(each for each in ORDER if each in known)
    return {HEADER: said} if said else {}


class EventOrigins:
    """Reads the events of each exchange that is asked about, once; any thread may ask."""

    def __init__(self, redis: Redis):
        self._redis = redis
        self._known: dict[int, _Exchange] = {}
        self._lock = threading.Lock()

    def of(self, exchange_id: int, pair: Pair) -> Origins:
        """Return what is known of a pair by now. Raises RedisError."""
        with self._lock:
            exchange = self._known.setdefault(exchange_id, _Exchange(exchange_id))
        with exchange.lock:
            try:
                exchange.follow(self._redis)
            except ResponseError:  # somebody else has written something under that name
                return Origins()
            return exchange.of(pair)


class _Exchange:
    """What the events of one exchange have told."""

    def __init__(self, exchange_id: int):
        self.lock = threading.Lock()
        self._key = keys.events(exchange_id)
        self._last_id = b""
        self._is_whole = False
        self._runs: dict[Pair, list[Run]] = {}
        self._cut: set[Pair] = set()  # of which older runs are forgotten

    def of(self, pair: Pair) -> Origins:
        runs = tuple(self._runs.get(pair, ()))
        return Origins(runs, self._is_whole and pair not in self._cut)

    def follow(self, redis: Redis) -> None:
        """Learn what was told since the last time. Raises RedisError."""
        found: Any = []
        if self._last_id:
            found = redis.xrange(self._key, self._last_id.decode(), "+", count=AT_ONCE)
        if not found or found[0][0] != self._last_id or len(found) == AT_ONCE:
            self._begin(redis)  # they are others, or too many
        else:
            self._learn(found[1:])

    def _begin(self, redis: Redis) -> None:
        added = self._ever_added(redis)
        found: Any = redis.xrevrange(self._key, "+", "-", count=MOST_EVENTS)
        self._is_whole = added is not None and len(found) >= added
        self._runs, self._cut, self._last_id = {}, set(), b""
        self._learn(found[::-1])

    def _ever_added(self, redis: Redis) -> int | None:
        """Return how many events there ever were, None where that is not told."""
        if not redis.exists(self._key):
            return 0
        found: Any = redis.xinfo_stream(self._key)
        return found.get("entries-added") if isinstance(found, dict) else None

    def _learn(self, entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> None:
        for entry_id, fields in entries:
            self._last_id = entry_id
            try:
                told = orjson.loads(fields[b"event"])
                pair = Pair(told["symbol"], parse_timeframe(told["timeframe"]))
                opened, healed = told["timestamp"], bool(told["healed"])
                self._add(pair, opened, healed, is_late="late" in told)
            except (LookupError, TypeError, ValueError):  # somebody else wrote it
                continue

    def _add(self, pair: Pair, opened: int, healed: bool, *, is_late: bool) -> None:
        """Add a close to the runs of its pair: behind them, or late between them."""
        runs = self._runs.setdefault(pair, [])
        last = runs[-1] if runs else None
        if last and last.healed == healed and opened == last.last_ms + pair.timeframe.ms:
            runs[-1] = last._replace(last_ms=opened)
            return
        if any(run.first_ms <= opened <= run.last_ms for run in runs):  # told again
            return
        at = bisect_left(runs, (opened,))
        if is_late and at == 0 and not self._is_whole:
            return  # what was told between it and the others is not known
        runs.insert(at, Run(opened, opened, healed))
        if len(runs) > RUNS_KEPT:
            del runs[0]
            self._cut.add(pair)
