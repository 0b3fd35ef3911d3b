"""The warmup: scan, write down what is missing, fetch that and nothing else."""

import logging
from collections.abc import Callable, Sequence

from redis import Redis

from exchanges.errors import BadPayload
from exchanges.rest.base import VenueRest
from exchanges.rest.reply import Candles
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.exchange_time import find_time
from warmup.fetching import Fetcher, run_all
from warmup.scanner import CandleStatusScanner
from warmup.schedule import WarmupSchedule, WarmupScheduleBuilder, WarmupScheduleEntry
from warmup.stats import WarmupStats, WarmupStatsPublisher

logger = logging.getLogger(__name__)


class SmartWarmupService:
    """Brings every pair of one exchange to 100 candles where fewer than 60 are cached.

    Killed and run again it goes on where it was, because it looks at the cache and nowhere else.
    `on_progress` is called up to 16 times a second, from another thread. `cache` is one that writes
    under a lease.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        rest_client: VenueRest,
        *,
        on_progress: Callable[[WarmupStats], None] = lambda stats: None,
        cache: CandleCache | None = None,
    ):
        self._redis = redis
        self._exchange_id = exchange_id
        self._rest = rest_client
        self._on_progress = on_progress
        self._cache = cache or CandleCache(redis, exchange_id)
        self.stats = WarmupStats(exchange_id, self._pacing_seconds)

    def warmup(
        self, symbols: Sequence[str], timeframes: Sequence[Timeframe | str] | None = None
    ) -> WarmupSchedule:
        """Fetch what is missing and return the schedule; `stats` tell how it went.

        Pairs that failed are in `stats.failures`. Raises where nothing could be done: Redis gone,
        the exchange unreachable, this address banned or blocked, the key refused.
        """
        self.stats = WarmupStats(self._exchange_id, self._pacing_seconds)
        epoch = self._cache.epoch
        with WarmupStatsPublisher(self._redis, self.stats, self._on_progress, epoch) as publisher:
            try:
                schedule = self._schedule(symbols, timeframes)
                self.stats.begin(schedule)
                self._execute(schedule, publisher)
            except BaseException as error:
                told = isinstance(error, Exception) and str(error)
                self.stats.finish(error=told or f"interrupted ({type(error).__name__})")
                raise
            self.stats.finish()
        logger.info(
            "warmup.complete exchange=%d fetched=%d skipped=%d failed=%d seconds=%.1f",
            *(self._exchange_id, self.stats.completed, self.stats.skipped, self.stats.failed),
            self.stats.seconds,
        )
        return schedule

    def _schedule(
        self, symbols: Sequence[str], timeframes: Sequence[Timeframe | str] | None
    ) -> WarmupSchedule:
        scanner = CandleStatusScanner(
            self._redis,
            self._exchange_id,
            lambda: find_time(self._redis, self._rest).ms,
            self._rest.depth_rows,
        )
        results = scanner.scan_exchange(symbols, timeframes)
        builder = WarmupScheduleBuilder(self._redis, self._exchange_id, self._cache.epoch)
        return builder.build_and_persist(results)

    def _execute(self, schedule: WarmupSchedule, publisher: WarmupStatsPublisher) -> None:
        fetcher = Fetcher(self._rest, self._cache, schedule.entries)

        def fetch(entry: WarmupScheduleEntry) -> Candles:
            self.stats.work_on(entry)
            candles = fetcher.fetch(entry, limit=entry.target_count)
            if candles.refused and not candles:
                count, first = len(candles.refused), candles.refused[0]
                raise BadPayload(f"none of {count} candles was usable, the first: {first}")
            return candles

        for entry, candles, error in run_all(self._rest, schedule.entries, fetch):
            if error:
                self.stats.pair_failed(entry, error)
            elif candles is not None:
                self.stats.pair_completed(len(candles.refused))
            publisher.changed()

    def _pacing_seconds(self, pairs: int) -> float:
        return self._rest.client.pacer.seconds_for(pairs, self._rest.candle_weight)
