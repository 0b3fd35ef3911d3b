"""What is cached: the count of every pair, and whether that will do."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import Redis

from exchanges.rest.base import LONGEST_LOOK_BACK
from livermore.market.coverage import missing, oldest_told_ms, span
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.pair_state import PairState

MIN_CANDLE_THRESHOLD = 60
DEFAULT_CANDLE_TARGET = 100


@dataclass(frozen=True, slots=True)
class CandleStatusResult:
    """One pair as the scan found it.

    `sufficient`: 60 or more candles are cached. `exhausted`: they are fewer, but the exchange was
    asked for all it could have and would still not reach 60, so asking again is of no use.
    """

    symbol: str
    timeframe: Timeframe
    cached_count: int
    sufficient: bool
    exhausted: bool = False

    @property
    def needs_fetching(self) -> bool:
        return not (self.sufficient or self.exhausted)


class CandleStatusScanner:
    """Counts what one exchange has in the cache, without a call for candles.

    `now_ms` tells the exchange's time; it is asked only where a pair has some candles, but too few.
    `depth_rows` is of how many of its newest bars the exchange tells, None for all.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        depth_rows: int | None = None,
    ):
        self._cache = CandleCache(redis, exchange_id)
        self._depth_rows = depth_rows
        self._now_ms = now_ms

    def scan_exchange(
        self, symbols: Sequence[str], timeframes: Sequence[Timeframe | str] | None = None
    ) -> list[CandleStatusResult]:
        """Return a result for every pair, the longest timeframe first, then as `symbols` go.

        `timeframes` None means all six.
        """
        pairs = pairs_of(symbols, timeframes)
        counts = dict(zip(pairs, self._cache.counts(pairs), strict=True))
        short = [pair for pair in pairs if counts[pair] < MIN_CANDLE_THRESHOLD]
        states = dict(zip(short, self._cache.states(short), strict=True))
        now_ms = self._now_ms() if any(counts[pair] for pair in short) else 0
        return [
            CandleStatusResult(
                *pair,
                cached_count=count,
                sufficient=count >= MIN_CANDLE_THRESHOLD,
                exhausted=pair in states
                and is_exhausted(states[pair], pair.timeframe, now_ms, self._depth_rows),
            )
            for pair, count in counts.items()
        ]


def is_exhausted(
    state: PairState, timeframe: Timeframe, now_ms: int, depth_rows: int | None = None
) -> bool:
    """Return whether even a candle in every period not yet asked for would leave too few.

    Warmup looks back 1,000 periods at the most, or as many as the exchange tells of, so only those
    count. What the exchange told to be
    empty once was asked for: whether that was true is for a repair to find out.
    """
    if not state.count:
        return False  # whoever deleted the candles may have left their coverage
    end_ms = timeframe.floor(now_ms)
    earliest_ms = end_ms - LONGEST_LOOK_BACK * timeframe.ms
    earliest_ms = max(earliest_ms, oldest_told_ms(timeframe, now_ms, depth_rows))
    unasked = missing(state.asked, earliest_ms, end_ms)
    return state.count + span(unasked) // timeframe.ms < MIN_CANDLE_THRESHOLD
