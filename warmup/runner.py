"""One exchange's life: lock, warm, repair, indicators, stream, until it is told to end."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from redis import Redis

from exchanges.fencing import Fenced
from exchanges.instances import ExchangeLock
from exchanges.lease import Lease
from exchanges.models import Exchange
from exchanges.status import State
from exchanges.streamer import Streamer
from exchanges.venue_stream import VenueStream
from exchanges.venues import ExchangeAdapterFactory
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache import CandleCache
from warmup.follower import IndicatorFollower
from warmup.measures import History, Rate
from warmup.orders import Orders
from warmup.redis_server import read_memory
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService
from warmup.sink import CandleSink
from warmup.stats import WarmupStats

logger = logging.getLogger(__name__)

STEP_SECONDS = 0.25
STEPS_PER_REPORT = 4
LONGEST_CATCHING_UP_SECONDS = 120.0


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
        on_warmup: Callable[[WarmupStats], None] = lambda stats: None,
    ):
        self._redis = redis
        self._exchange = exchange
        self._symbols = list(symbols)
        self._on_warmup = on_warmup
        self._factory = ExchangeAdapterFactory(redis)
        self._stopping = threading.Event()
        self.holds = False  # the exchange's lock
        self._streamer: Streamer | None = None
        self._sink: CandleSink | None = None
        self._frame_rate, self._frame_rates = Rate(), History()

    def stop(self) -> None:
        """Let `run` end: last flush, release."""
        self._stopping.set()

    def run(self, take_over: str | None = None, reason: str = "") -> None:
        """Live: see the class. `take_over` is the instance id of the holder that this replaces."""
        lock = ExchangeLock(self._redis, self._exchange.pk)
        with lock.take_over(take_over, reason) if take_over else lock.acquire() as lease:
            lease.measure_with(self.measured)
            self.holds = True
            try:
                self._live(lease)
            except Exception as error:
                if self._stopping.is_set():
                    return  # broken off on the way, as it was asked to
                if isinstance(error, Fenced):  # refused before the heartbeat learned why
                    raise lease.loss() from error
                lease.report(State.ERROR, str(error))
                raise
            finally:
                self.holds = False

    def measured(self) -> Mapping[str, Any]:
        """Return rates, lag and counters for the status."""
        if not self._streamer or not self._sink:
            return {}
        counters = self._streamer.counters()
        frame_rate = self._frame_rate.after(counters["frames"])
        return {
            "obeys": True,
            **counters,
            "framesPerSecond": frame_rate,
            "frameRates": self._frame_rates.after(frame_rate),
            "polledPairs": _by_symbol(self._streamer.polled()),
            "refused": self._streamer.refused(),
            "symbols": len(self._symbols),
            "closes": self._sink.closes,
            "healed": self._sink.healed,
            "pendingCloses": self._sink.pending(),
            "healing": self._sink.healing(),
            "newestClose": self._sink.newest_close_ms or None,
            "exchangeTime": self._sink.streamed_now_ms(),
            "closeDelays": self._sink.delays.as_json(),
            "flushFailures": self._sink.flush_failures,
        }

    def _live(self, lease: Lease) -> None:
        lease.report(State.STARTING)
        self._warn_of_eviction()
        self._warm(lease)
        if self._stopping.is_set():
            return
        with (
            closing(
                IndicatorFollower(self._redis, self._exchange.pk, lease.epoch, lease.may_write)
            ) as follower,
            closing(self._factory.rest(self._exchange)) as rest,
        ):
            stream = self._factory.stream(self._exchange)
            sink = CandleSink(
                self._redis,
                self._exchange.pk,
                rest,
                lease.epoch,
                lease.may_write,
                stream.rolls_up_from,
            )
            self._catch_up(lease, sink)
            lease.report(State.WARMING, "computing indicators", 100.0)
            follower.compute(pairs_of(self._symbols), self._stopping.is_set)
            if not self._stopping.is_set():
                streamer = Streamer(stream, sink, rest)
                self._stream(lease, stream, streamer, sink, follower)

    def _catch_up(self, lease: Lease, sink: CandleSink) -> None:
        """Let the sink fetch and tell what closed while nobody ran the exchange.

        What isn't there in time is asked for again once the stream is connected.
        """
        lease.report(State.WARMING, "catching up", 100.0)
        pairs = pairs_of(self._symbols)
        sink.connected(pairs)
        deadline = time.monotonic() + LONGEST_CATCHING_UP_SECONDS
        while sink.healing() or sink.pending():
            if lease.lost.is_set() or time.monotonic() > deadline:
                break
            if self._stopping.wait(STEP_SECONDS / 10):
                break
            sink.tick()
        sink.disconnected(pairs)

    def _stream(
        self,
        lease: Lease,
        stream: VenueStream,
        streamer: Streamer,
        sink: CandleSink,
        follower: IndicatorFollower,
    ) -> None:
        orders = Orders(
            self._redis, self._exchange, lease, stream, streamer, sink, follower, self._symbols,
            self.stop,
        )  # fmt: skip
        self._sink, self._streamer = sink, streamer
        gc.collect()
        gc.freeze()  # a full collection takes long, and a burst of closes brings one about
        follower.start()
        streamer.start(self._symbols)
        logger.info(
            "runner.streaming exchange=%s symbols=%d streams=%d epoch=%d",
            self._exchange.name, len(self._symbols), streamer.counters()["streams"], lease.epoch,
        )  # fmt: skip
        try:
            self._watch(lease, streamer, follower, orders)
        finally:
            lease.report(State.STOPPING)
            orders.close()
            streamer.stop()
            sink.close()

    def _warn_of_eviction(self) -> None:
        memory = read_memory(self._redis)
        if memory and memory.evicts:
            logger.warning(
                "runner.redis_evicts exchange=%s policy=%s maxmemory=%d used=%d",
                self._exchange.name, memory.evicts, memory.limit, memory.used,
            )  # fmt: skip

    def _warm(self, lease: Lease) -> None:
        cache = CandleCache(self._redis, self._exchange.pk, lease.epoch)
        with closing(self._factory.rest(self._exchange)) as rest:

            def show(stats: WarmupStats) -> None:
                lease.report(State.WARMING, "warming", stats.percent)
                self._on_warmup(stats)
                if self._stopping.is_set() or lease.lost.is_set():
                    rest.close()  # whoever waits for a turn wakes, and the warmup ends

            number = self._exchange.pk
            service = SmartWarmupService(self._redis, number, rest, on_progress=show, cache=cache)
            service.warmup(self._symbols)
            lease.report(State.WARMING, "repairing", 100.0)
            CandleRepair(self._redis, number, rest, cache=cache).repair(
                self._symbols, holes_only=True
            )

    def _watch(
        self, lease: Lease, streamer: Streamer, follower: IndicatorFollower, orders: Orders
    ) -> None:
        orders.start()
        steps = 0
        while not self._stopping.wait(STEP_SECONDS):
            if lease.lost.is_set():
                raise lease.loss()
            if error := streamer.error or follower.error:
                raise error
            if steps % STEPS_PER_REPORT == 0:
                lease.report(State.ACTIVE, "streaming", order=orders.doing)
            steps += 1


def _by_symbol(pairs: Iterable[Pair]) -> dict[str, list[Timeframe]]:
    """Return the timeframes of each symbol, the shortest first."""
    found: dict[str, list[Timeframe]] = {}
    for symbol, timeframe in sorted(pairs, key=lambda pair: (pair.symbol, pair.timeframe.ms)):
        found.setdefault(symbol, []).append(timeframe)
    return found
