"""One exchange's life: lock, warm, repair, indicators, stream, until it is told to end."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import Redis

from exchanges.instances import ExchangeLock, Lease, LostLock, State
from exchanges.models import Exchange
from exchanges.streamer import Streamer
from exchanges.venue_rest import VenueRest
from exchanges.venues import ExchangeAdapterFactory
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService
from warmup.sink import CandleSink
from warmup.stats import WarmupStats

logger = logging.getLogger(__name__)

STEP_SECONDS = 0.25


class ExchangeRunner:
    """Keeps one exchange warm and live in this process.

    `run` blocks until `stop` is called, and raises what made it end otherwise: Held at the start,
    LostLock when somebody took over, or what the exchange or Redis said.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        symbols: Sequence[str],
        *,
        take_over: str | None = None,
        reason: str = "",
        on_warmup: Callable[[WarmupStats], None] = lambda stats: None,
        compute_indicators: Callable[[], None] = lambda: None,
    ):
        """`take_over` is the instance id of the holder that this one replaces.

        `compute_indicators` is called when all is warm and before the first frame.
        """
        self._redis = redis
        self._exchange = exchange
        self._symbols = list(symbols)
        self._take_over = take_over
        self._reason = reason
        self._on_warmup = on_warmup
        self._compute_indicators = compute_indicators
        self._stopping = threading.Event()
        self._streamer: Streamer | None = None
        self._sink: CandleSink | None = None

    def stop(self) -> None:
        """Let `run` end: last flush, release."""
        self._stopping.set()

    def run(self) -> None:
        """Live: see the class."""
        lock = ExchangeLock(self._redis, self._exchange.pk)
        lease = lock.take_over(self._take_over, self._reason) if self._take_over else lock.acquire()
        factory = ExchangeAdapterFactory(self._redis)
        with lease:
            rest = factory.rest(self._exchange)
            try:
                self._live(lease, rest, factory)
            except BaseException as error:
                if isinstance(error, Exception):
                    lease.report(State.ERROR, str(error))
                raise
            finally:
                rest.close()

    def _live(self, lease: Lease, rest: VenueRest, factory: ExchangeAdapterFactory) -> None:
        lease.measure_with(self.measured)
        lease.report(State.STARTING)
        self._warm(lease, rest)
        if self._stopping.is_set():
            return
        self._compute_indicators()
        stream = factory.stream(self._exchange)
        sink = CandleSink(
            self._redis,
            self._exchange.pk,
            rest,
            lease.epoch,
            lease.may_write,
            stream.rolls_up_from,
        )
        streamer = Streamer(stream, sink)
        self._sink, self._streamer = sink, streamer
        lease.report(State.ACTIVE, "streaming")
        streamer.start(self._symbols)
        try:
            self._watch(lease, streamer)
        finally:
            lease.report(State.STOPPING)
            streamer.stop()
            sink.close()

    def _warm(self, lease: Lease, rest: VenueRest) -> None:
        def show(stats: WarmupStats) -> None:
            lease.report(State.WARMING, "warming", stats.percent)
            self._on_warmup(stats)
            if self._stopping.is_set() or lease.lost.is_set():
                rest.close()

        number, epoch = self._exchange.pk, lease.epoch
        SmartWarmupService(self._redis, number, rest, on_progress=show, epoch=epoch).warmup(
            self._symbols
        )
        lease.report(State.WARMING, "repairing", 100.0)
        CandleRepair(self._redis, number, rest, epoch=epoch).repair(self._symbols)

    def _watch(self, lease: Lease, streamer: Streamer) -> None:
        while not self._stopping.wait(STEP_SECONDS):
            if streamer.error:
                raise streamer.error
            if lease.lost.is_set():
                raise LostLock(f"stopped: {lease.lost_reason}")

    def measured(self) -> Mapping[str, Any]:
        """Return rates, lag and counters for the status."""
        if not self._streamer or not self._sink:
            return {}
        return {
            **self._streamer.counters(),
            "symbols": len(self._symbols),
            "closes": self._sink.closes,
            "healed": self._sink.healed,
            "pendingCloses": self._sink.pending(),
            "healing": self._sink.holes(),
            "newestClose": self._sink.newest_close_ms or None,
            "measuredAt": int(time.time() * 1000),
        }
