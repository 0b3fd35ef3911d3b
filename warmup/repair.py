"""Holes: which stretches of a pair the cache can't vouch for, and fetching exactly those."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from redis import Redis

from exchanges.errors import LivermoreError
from exchanges.pacing import Lane
from exchanges.venue_rest import VenueRest
from livermore.market.coverage import Coverage, missing, span
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache import CANDLES_KEPT, CandleCache, PairState
from warmup.fetching import run_all, usable
from warmup.scanner import DEFAULT_CANDLE_TARGET

logger = logging.getLogger(__name__)


def missing_ranges(state: PairState, timeframe: Timeframe, now_ms: int) -> Coverage:
    """Return the stretches to fetch, in ms, half-open: the window less what is covered.

    The window goes from the oldest cached candle, but at least over the newest 100 periods and
    at most over the newest 1,000, to the end of the last closed one.
    """
    end_ms = timeframe.floor(now_ms)
    least = end_ms - DEFAULT_CANDLE_TARGET * timeframe.ms
    most = end_ms - CANDLES_KEPT * timeframe.ms
    oldest = least if state.oldest is None else state.oldest
    return missing(state.coverage, max(most, min(oldest, least)), end_ms)


@dataclass(frozen=True, slots=True)
class PairHoles:
    """The stretches of one pair that are to be fetched."""

    symbol: str
    timeframe: Timeframe
    ranges: Coverage

    @property
    def periods(self) -> int:
        return span(self.ranges) // self.timeframe.ms


@dataclass(slots=True)
class RepairReport:
    """What a repair did: pairs and stretches it fetched, candles it got, and what failed."""

    pairs: int = 0
    ranges: int = 0
    candles: int = 0
    refused: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


class CandleRepair:
    """Fetches what one exchange's cache is missing, by coverage and not by count."""

    def __init__(self, redis: Redis, exchange_id: int, rest_client: VenueRest):
        self._cache = CandleCache(redis, exchange_id)
        self._exchange_id = exchange_id
        self._rest = rest_client

    def find(
        self, symbols: Sequence[str], timeframes: Sequence[Timeframe | str] | None = None
    ) -> list[PairHoles]:
        """Return the pairs that miss something, the longest timeframe first; makes no call."""
        pairs = pairs_of(symbols, timeframes)
        now_ms = int(time.time() * 1000)
        return [
            PairHoles(symbol, timeframe, ranges)
            for (symbol, timeframe), state in zip(pairs, self._cache.states(pairs), strict=True)
            if (ranges := missing_ranges(state, timeframe, now_ms))
        ]

    def repair(
        self,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] | None = None,
        *,
        lane: Lane = Lane.BACKFILL,
        on_pair: Callable[[int, int], None] = lambda done, total: None,
    ) -> RepairReport:
        """Fetch all that is missing, and nothing else; a pair that fails is in the report.

        Raises where nothing could be done, as a warmup does. `on_pair` is told how many pairs
        are done, of how many.
        """
        holes = self.find(symbols, timeframes)
        report = RepairReport()
        outcomes = run_all(self._rest, holes, lambda pair: self._mend(pair, lane))
        for done, (pair, got, error) in enumerate(outcomes, start=1):
            if error:
                self._failed(report, pair, error)
            else:
                report.pairs += 1
                report.ranges += len(pair.ranges)
                report.candles += got[0]
                report.refused += got[1]
            on_pair(done, len(holes))
        logger.info(
            "repair.complete exchange=%d pairs=%d ranges=%d candles=%d failed=%d",
            *(self._exchange_id, report.pairs, report.ranges, report.candles),
            len(report.failures),
        )
        return report

    def _mend(self, pair: PairHoles, lane: Lane) -> tuple[int, int]:
        """Fetch a pair's stretches; return how many candles came and how many were refused."""
        fetched = refused = 0
        for start_ms, end_ms in pair.ranges:
            candles = usable(
                self._rest.get_candles(pair.symbol, pair.timeframe, start_ms, end_ms, lane=lane)
            )
            self._cache.write(pair.symbol, pair.timeframe, candles, candles.covered)
            fetched += len(candles)
            refused += len(candles.refused)
        return fetched, refused

    def _failed(self, report: RepairReport, pair: PairHoles, error: LivermoreError) -> None:
        report.failures.append(
            {"symbol": pair.symbol, "timeframe": pair.timeframe, "error": str(error)}
        )
        logger.warning(
            "repair.pair_failed exchange=%d symbol=%s timeframe=%s error=%s",
            *(self._exchange_id, pair.symbol, pair.timeframe, error),
        )
