"""Fetching on demand: the newest candles of some pairs, whatever is cached."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import Redis

from exchanges.rest.base import VenueRest
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.fetching import Fetcher, FetchReport, run_all

logger = logging.getLogger(__name__)

# What a trader looks at first comes first. One-minute bars come by request only, at the end.
ORDER = (
    Timeframe.M5,
    Timeframe.M15,
    Timeframe.H1,
    Timeframe.H4,
    Timeframe.D1,
    Timeframe.M1,
)
DEFAULT_TIMEFRAMES = ORDER[:-1]


@dataclass(frozen=True, slots=True)
class BackfillConfig:
    """How many candles a pair gets, and how fast: requests at once, then a pause."""

    candle_count: int = 100
    batch_size: int = 5
    batch_delay_ms: int = 1000


class StartupBackfillService:
    """Fetches the newest candles of pairs: to force a refresh, or for symbols just added."""

    def __init__(
        self,
        rest_client: VenueRest,
        redis: Redis,
        config: BackfillConfig | None = None,
        *,
        cache: CandleCache | None = None,
    ):
        self._rest = rest_client
        self._config = config or BackfillConfig()
        self._cache = cache or CandleCache(redis, rest_client.exchange_id)

    def backfill(
        self,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] | None = None,
        *,
        on_pair: Callable[[int, int], None] = lambda done, total: None,
    ) -> FetchReport:
        """Fetch every pair, in the order 5m 15m 1h 4h 1d and then of `symbols`.

        `timeframes` None means those five. A pair that fails is in the report; raises where
        nothing could be done, as a warmup does. `on_pair` is told how many are done, of how many.
        """
        pairs = pairs_of(symbols, timeframes or DEFAULT_TIMEFRAMES, ORDER)
        report, fetcher = FetchReport(), Fetcher(self._rest, self._cache, pairs)
        outcomes = run_all(
            self._rest,
            pairs,
            lambda pair: [fetcher.fetch(pair, limit=self._config.candle_count)],
            batch_size=self._config.batch_size,
            batch_delay_seconds=self._config.batch_delay_ms / 1000,
        )
        for done, outcome in enumerate(outcomes, start=1):
            report.add(*outcome)
            on_pair(done, len(pairs))
        logger.info(
            "backfill.complete exchange=%d pairs=%d candles=%d failed=%d",
            *(self._rest.exchange_id, report.pairs, report.candles, len(report.failures)),
        )
        return report
