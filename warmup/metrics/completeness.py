"""How complete an exchange's cache is, by timeframe; counted anew every 15 seconds at the most."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum

from redis import Redis

from livermore.market.coverage import Coverage, span, subtract
from livermore.market.pair import pairs_of
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.pair_state import PairState
from warmup.repair import missing_ranges, window

GRACE_MS = 90_000  # what closed a moment ago may still be on its way, on a quiet market from REST
SECONDS_KEPT = 15.0


class Lack(StrEnum):
    """In which way a pair is incomplete."""

    HOLED = "holed"
    STALE = "stale"
    WAITING = "waiting"
    ASIDE = "aside"


@dataclass(slots=True)
class Completeness:
    """What is known of one timeframe's pairs, each within its window (see `warmup.repair`).

    Of that the newest 90 seconds are left out. `stale` pairs lack their newest candles alone;
    `holed` ones lack others, or have none at all; `waiting` ones lack nothing but what the
    exchange was asked for and has not told for good. An exchange that tells of its newest
    `depth_rows` bars alone can't be asked for older ones, which are not counted. `set_aside` ones
    lack everything: a key of theirs is of another type.
    """

    pairs: int = 0
    holed: int = 0
    stale: int = 0
    waiting: int = 0
    missing_periods: int = 0
    window_ms: int = 0
    missing_ms: int = 0
    set_aside: int = 0
    depth_rows: int | None = None

    @property
    def ratio(self) -> float:
        """Return the share of time that is covered; 1 where there is nothing to cover."""
        return 1 - self.missing_ms / self.window_ms if self.window_ms else 1.0

    def add(self, state: PairState, timeframe: Timeframe, now_ms: int) -> None:
        """Count one pair as it is at `now_ms`."""
        start_ms, _ = window(state, timeframe, now_ms, self.depth_rows)
        end_ms = timeframe.floor(now_ms - GRACE_MS)
        self.pairs += 1
        self.window_ms += end_ms - start_ms
        ranges = missing_ranges(state, timeframe, now_ms, GRACE_MS, self.depth_rows)
        if not ranges:
            return
        missing_ms = span(ranges)
        self.missing_ms += missing_ms
        self.missing_periods += missing_ms // timeframe.ms
        match lack(state, ranges):
            case Lack.ASIDE:
                self.set_aside += 1
            case Lack.WAITING:
                self.waiting += 1
            case Lack.STALE:
                self.stale += 1
            case Lack.HOLED:
                self.holed += 1


def lack(state: PairState, ranges: Coverage) -> Lack:
    """Return in which way a pair is incomplete that lacks `ranges`, of which there is one."""
    if state.aside:
        return Lack.ASIDE
    if not subtract(ranges, (each[:2] for each in state.unconfirmed)):
        return Lack.WAITING
    is_stale = state.coverage and ranges[0][0] >= state.coverage[-1][1]
    return Lack.STALE if is_stale else Lack.HOLED


ByTimeframe = dict[Timeframe, Completeness]


def measure(
    redis: Redis,
    exchange_id: int,
    symbols: Sequence[str],
    now_ms: int,
    depth_rows: int | None = None,
) -> ByTimeframe:
    """Return how complete each timeframe of `symbols` is at `now_ms`, by the exchange's clock."""
    pairs = pairs_of(symbols)
    found = {timeframe: Completeness(depth_rows=depth_rows) for timeframe in LONGEST_FIRST}
    for pair, state in zip(pairs, CandleCache(redis, exchange_id).states(pairs), strict=True):
        found[pair.timeframe].add(state, pair.timeframe, now_ms)
    return found


class Measured:
    """Remembers what was measured of each exchange: 6,000 pairs take a tenth of a second.

    Any thread may ask; those who ask while it is measured wait for the one that does.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._found: dict[int, tuple[float, Future[ByTimeframe]]] = {}

    def of(self, exchange_id: int, measure: Callable[[], ByTimeframe]) -> ByTimeframe:
        """Return what `measure()` finds, or what it found less than 15 seconds ago.

        What it raises is raised for all who wait for it, and forgotten.
        """
        with self._lock:
            at, found = self._found.get(exchange_id, (float("-inf"), Future()))
            is_ours = time.monotonic() - at >= SECONDS_KEPT
            if is_ours:
                found = Future()
                self._found[exchange_id] = (time.monotonic(), found)
        if is_ours:
            try:
                found.set_result(measure())
            except BaseException as error:
                self._found.pop(exchange_id, None)
                found.set_exception(error)
        return found.result()
