"""While an exchange is live: fetch what its stream left open, and look at what is doubtful."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing

from redis import Redis
from redis.exceptions import RedisError

from exchanges.daemon_threads import Workers
from exchanges.errors import LivermoreError
from exchanges.lock.fencing import Fenced
from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from livermore.market.coverage import Coverage
from livermore.market.pair import Pair, pairs_of
from warmup.cache.candles import CandleCache
from warmup.live.pairs.concluded import ConcludedBars
from warmup.live.sink import CandleSink
from warmup.repair import CandleRepair, PairHoles

logger = logging.getLogger(__name__)

STEP_SECONDS = 1.0
CHECKED_PER_STEP = 5  # pairs, a hundredth of the server's time
ROUND_MS = 60_000  # of the exchange's time, between two looks at all pairs
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 10_000, 900_000  # between two tries that change nothing


class BackgroundRepair:
    """Repairs an exchange's cache piece by piece, behind its stream.

    One thread calls `keep_up`, often; what is to be fetched is, in a thread that ends again.
    What the stream's closes no longer wait for is fetched first. What was told once is asked again
    when it is due. What stays as it is is asked for ever more rarely. All candles are looked at in
    turns: what somebody else put among them goes out, and is fetched. Bars that were `concluded`
    are held against REST once in a while.
    """

    concluded: ConcludedBars | None = None

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        cache: CandleCache,
        sink: CandleSink,
        open_rest: Callable[[], VenueRest],
        symbols: Callable[[], Sequence[str]],
        on_idle: Callable[[], object] = lambda: None,
    ):
        """`cache` writes under the lease and no further than the stream has got.

        `symbols` tells of which nobody else fetches anything. `on_idle` is called when nothing is
        left to do.
        """
        self._redis = redis
        self._exchange_id = exchange_id
        self._cache = cache
        self._sink = sink
        self._open_rest = open_rest
        self._symbols = symbols
        self._tried: dict[Pair, tuple[Coverage, int, int]] = {}  # what, when, pause after it
        self._next_round_ms = 0
        self._to_check: list[Pair] = []
        self._rest: VenueRest | None = None
        self._stopping = threading.Event()
        self._workers = Workers(1, "background-repair", on_idle=on_idle)
        self._next_step_at = 0.0

    def close(self) -> None:
        """Begin nothing more, and break off what is under way."""
        self._stopping.set()
        if rest := self._rest:
            rest.close()
        self._workers.close()
        self._workers.join(1)

    def look_again(self) -> None:
        """Look at all pairs at the next step, whatever was tried: any thread may call it."""
        self._tried = {}
        self._next_round_ms = 0

    def keep_up(self, now: float) -> None:
        """Do what is due; `now` is monotonic, in seconds. What fails is logged."""
        if now < self._next_step_at or self._stopping.is_set() or self._workers.busy:
            return
        if not self._next_step_at:  # the first, when all is connected
            self._next_step_at = now + STEP_SECONDS
            return
        self._next_step_at = now + STEP_SECONDS
        self._try(self._remove_invalid)
        now_ms = self._sink.streamed_now_ms()
        if self._sink.skipped() or (now_ms is not None and now_ms >= self._next_round_ms):
            self._workers.submit(self._try, self._step)

    def _step(self) -> None:
        """Repair what is known to be open, and where it is time look at all pairs."""
        now_ms = self._sink.now_ms()
        self._repair(self._sink.skipped(), Lane.LIVE, now_ms)
        if now_ms >= self._next_round_ms:
            self._next_round_ms = now_ms + ROUND_MS
            self._repair(pairs_of(self._symbols()), Lane.BACKFILL, now_ms)
            self._compare(now_ms)

    def _remove_invalid(self) -> None:
        """Look at the candles of the next few pairs; where one is none, repair that at once."""
        if not self._to_check:
            self._to_check = pairs_of(self._symbols())
        now, self._to_check = self._to_check[:CHECKED_PER_STEP], self._to_check[CHECKED_PER_STEP:]
        if self._cache.remove_invalid(now):
            self._next_round_ms = 0

    def _repair(self, pairs: Sequence[Pair], lane: Lane, now_ms: int) -> None:
        if not pairs or self._sink.is_away or self._stopping.is_set():
            return
        with closing(self._open_rest()) as self._rest:
            repair = CandleRepair(self._redis, self._exchange_id, self._rest, cache=self._cache)
            holes = [each for each in repair.find_among(pairs) if self._is_due(each, now_ms)]
            if holes and not self._stopping.is_set():
                repair.repair_holes(holes, lane=lane)
        self._rest = None

    def _compare(self, now_ms: int) -> None:
        """Let bars be doubted that are other ones over REST than the stream showed them."""
        symbols = self.concluded.due(self._symbols(), now_ms) if self.concluded else []
        if not (self.concluded and symbols) or self._sink.is_away or self._stopping.is_set():
            return
        with closing(self._open_rest()) as self._rest:
            for event in self.concluded.compare(self._rest, symbols, now_ms):
                self._sink.revised_elsewhere(event)
        self._rest = None

    def _is_due(self, holes: PairHoles, now_ms: int) -> bool:
        """Tell whether to try now, and take note of it."""
        pair = Pair(holes.symbol, holes.timeframe)
        ranges, tried_ms, pause_ms = self._tried.get(pair, ((), 0, 0))
        if ranges != holes.ranges:
            pause_ms = 0
        elif 0 <= now_ms - tried_ms < pause_ms:
            return False
        pause_ms = min(max(2 * pause_ms, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
        self._tried[pair] = (holes.ranges, now_ms, pause_ms)
        return True

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Fenced:
            self._stopping.set()  # the runner learns it from its lease
        except (LivermoreError, RedisError) as error:
            if not self._stopping.is_set():
                logger.warning(
                    "background_repair.failed exchange=%d error=%s", self._exchange_id, error
                )
        except Exception:
            logger.exception("background_repair.died exchange=%d", self._exchange_id)
