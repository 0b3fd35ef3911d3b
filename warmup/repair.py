"""Holes: which stretches of a pair the cache can't vouch for, and fetching exactly those."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import Redis

from exchanges.candle_reply import Candles
from exchanges.pacing import Lane
from exchanges.venue_rest import VenueRest
from livermore.market.coverage import Coverage, Interval, missing, span
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache import CANDLES_KEPT, CandleCache, PairState
from warmup.fetching import FetchReport, fetch, run_all
from warmup.scanner import DEFAULT_CANDLE_TARGET

logger = logging.getLogger(__name__)


def window(state: PairState, timeframe: Timeframe, now_ms: int) -> Interval:
    """Return the stretch that is to be complete, in ms, half-open.

    It goes from the oldest cached candle, but at least over the newest 100 periods and at most
    over the newest 1,000, to the end of the last closed one.
    """
    end_ms = timeframe.floor(now_ms)
    least = end_ms - DEFAULT_CANDLE_TARGET * timeframe.ms
    most = end_ms - CANDLES_KEPT * timeframe.ms
    oldest = least if state.oldest is None else state.oldest
    return max(most, min(oldest, least)), end_ms


def missing_ranges(
    state: PairState, timeframe: Timeframe, now_ms: int, grace_ms: int = 0
) -> Coverage:
    """Return the stretches to fetch, in ms, half-open: the window less what is covered.

    What closed less than `grace_ms` ago is not missed yet.
    """
    start_ms, _ = window(state, timeframe, now_ms)
    return missing(state.coverage, start_ms, timeframe.floor(now_ms - grace_ms))


@dataclass(frozen=True, slots=True)
class PairHoles:
    """The stretches of one pair that are to be fetched."""

    symbol: str
    timeframe: Timeframe
    ranges: Coverage

    @property
    def periods(self) -> int:
        return span(self.ranges) // self.timeframe.ms


class CandleRepair:
    """Fetches what one exchange's cache is missing, by coverage and not by count."""

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        rest_client: VenueRest,
        *,
        cache: CandleCache | None = None,
    ):
        self._cache = cache or CandleCache(redis, exchange_id)
        self._exchange_id = exchange_id
        self._rest = rest_client

    def find(
        self,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] | None = None,
        *,
        holes_only: bool = False,
    ) -> list[PairHoles]:
        """Return the pairs that miss something by the exchange's clock, longest timeframe first.

        `holes_only` leaves out what closed after all that is known of a pair: a stream catches up
        with that, and tells it.
        """
        pairs = pairs_of(symbols, timeframes)
        now_ms = self._rest.clock.now_ms() - self._rest.settle_ms
        found = []
        for (symbol, timeframe), state in zip(pairs, self._cache.states(pairs), strict=True):
            ranges = missing_ranges(state, timeframe, now_ms)
            if holes_only and state.coverage:
                ranges = tuple(each for each in ranges if each[0] < state.coverage[-1][1])
            if ranges:
                found.append(PairHoles(symbol, timeframe, ranges))
        return found

    def repair(
        self,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] | None = None,
        *,
        lane: Lane = Lane.BACKFILL,
        on_pair: Callable[[int, int], None] = lambda done, total: None,
        holes_only: bool = False,
    ) -> FetchReport:
        """Fetch all that `find` finds missing, and nothing else; what fails is in the report.

        Raises where nothing could be done, as a warmup does. `on_pair` is told how many pairs
        are done, of how many.
        """
        holes = self.find(symbols, timeframes, holes_only=holes_only)
        report = FetchReport()
        outcomes = run_all(self._rest, holes, lambda pair: self._mend(pair, lane))
        for done, outcome in enumerate(outcomes, start=1):
            report.add(*outcome)
            on_pair(done, len(holes))
        logger.info(
            "repair.complete exchange=%d pairs=%d ranges=%d candles=%d failed=%d",
            *(self._exchange_id, report.pairs, report.ranges, report.candles),
            len(report.failures),
        )
        return report

    def _mend(self, pair: PairHoles, lane: Lane) -> list[Candles]:
        return [
            fetch(self._rest, self._cache, pair, start_ms=start_ms, end_ms=end_ms, lane=lane)
            for start_ms, end_ms in pair.ranges
        ]
