"""From a stream's events to the cache: every close once, in order, and what is missing fetched."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from redis import Redis
from redis.exceptions import RedisError

from exchanges.candle_reply import Candles
from exchanges.errors import LivermoreError
from exchanges.pacing import Lane
from exchanges.stream_events import CandleUpdate
from exchanges.venue_rest import VenueRest
from exchanges.workers import Workers
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.bars import GRACE_MS, Bars, Close
from warmup.cache import CANDLES_KEPT, CandleCache
from warmup.flush import Flusher
from warmup.measures import Delays
from warmup.rollup import Rollup

logger = logging.getLogger(__name__)

CLOSES_HELD = 200_000  # while Redis is away; then pairs are marked for repair instead
CLOSES_PER_FLUSH = 5_000
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_QUESTIONS = 5.0
LEAP_MS, LEAPS_DOUBTED = 600_000, 5  # a leap of the exchange's time is believed the sixth time


class CandleSink:
    """Keeps one exchange's cache current from its stream.

    The streamer's thread calls it. What is missing is asked of `rest` by threads of its own.
    A flush that fails is kept and tried again: open candles and tickers only in their newest
    state, closes all of them up to 200,000, after which their pairs are marked to be healed.
    Raises Fenced when another holder has the lock by now; `may_write` is asked before each flush.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        rest: VenueRest,
        epoch: int,
        may_write: Callable[[], bool] = lambda: True,
        rolls_up_from: Timeframe | None = None,
        on_close: Callable[[str, Candle, bool], None] = lambda symbol, candle, healed: None,
    ):
        """`on_close(symbol, candle, healed)` is called for each close once it is stored."""
        self._redis = redis
        self._exchange_id = exchange_id
        self._rest = rest
        self._may_write = may_write
        self._rolls_up_from = rolls_up_from
        self._on_close = on_close
        self._rollups: dict[str, Rollup] = {}
        self._bars: dict[Pair, Bars] = {}
        self._stored_until: dict[Pair, int] = {}
        self._closes: deque[tuple[Pair, Close]] = deque()
        self._live: dict[Pair, Candle] = {}
        self._tickers: dict[str, Ticker] = {}
        self._answers: deque[tuple[Pair, int, Candles | None]] = deque()
        self._times: deque[int] = deque()  # that REST told
        self._flusher = Flusher(redis, exchange_id, epoch)
        self._workers = Workers(rest.workers, "heal")
        self._now_ms = 0
        self._now_at = 0.0
        self._next_look_at = self._retry_at = 0.0
        self._failing = False
        self._leaps = 0
        self._unloaded: set[Pair] = set()
        self._forgotten: deque[Pair] = deque()
        self.closes = self.healed = self.flush_failures = 0
        self.newest_close_ms = 0
        self.delays = Delays()  # of closes that the stream told, from the bar's end to Redis

    # -- from the stream

    def candle(self, update: CandleUpdate) -> None:
        pair = Pair(update.symbol, update.candle.timeframe)
        bars = self._bars.get(pair)
        if bars is None:
            return
        if update.closed:
            self._tell(pair, bars.update(update.candle, True))
        elif bars.is_live(update.candle) and not self._is_older(pair, update.candle):
            self._live[pair] = update.candle
            if pair.timeframe is self._rolls_up_from and update.candle.timestamp == bars.next_ms:
                for candle in self._rollups[pair.symbol].open_candles(update.candle):
                    self._live[Pair(pair.symbol, candle.timeframe)] = candle

    def _is_older(self, pair: Pair, candle: Candle) -> bool:
        waiting = self._live.get(pair)
        return waiting is not None and waiting.timestamp > candle.timestamp

    def ticker(self, ticker: Ticker) -> None:
        self._tickers[ticker.symbol] = ticker

    def clock(self, time_ms: int) -> None:
        now = time.monotonic()
        ahead_ms = time_ms - self._now_ms - 1000 * (now - self._now_at)
        if self._now_ms and ahead_ms <= 0:
            self._leaps = 0
            return
        if self._now_ms and ahead_ms > LEAP_MS and self._leaps < LEAPS_DOUBTED:
            self._leaps += 1  # one wrong time must not make everything overdue for ever
            return
        self._now_ms, self._now_at, self._leaps = time_ms, now, 0

    def connected(self, pairs: Iterable[Pair]) -> None:
        pairs = set(pairs) | self._unloaded
        try:
            self._load([pair for pair in pairs if pair not in self._bars])
            now_ms = self.now_ms()
        except (RedisError, LivermoreError) as error:
            logger.warning("sink.not_loaded pairs=%d error=%s", len(pairs), error)
            self._unloaded = pairs  # the next tick tries again
            return
        self._unloaded = set()
        for pair in pairs:
            bars = self._bars[pair]
            bars.reconnected()
            bars.skip_to(pair.timeframe.floor(now_ms) - CANDLES_KEPT * pair.timeframe.ms)
            self._heal(pair, bars, grace_ms=0)  # what closed meanwhile, at once

    def polled(self, pairs: Iterable[Pair]) -> None:
        self.connected(pairs)  # nothing will close their bars, so REST is asked at each end

    def disconnected(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            self._unloaded.discard(pair)
            if pair in self._bars:
                self._bars[pair].streamed = False

    def forget(self, pairs: Iterable[Pair]) -> None:
        """Learn, in any thread, that these are not to be streamed any more."""
        self._forgotten.extend(pairs)

    def tick(self) -> None:
        """Take what REST answered, ask for what is overdue, write what there is."""
        while self._answers:
            self._take_answer(*self._answers.popleft())
        while self._times:
            self.clock(self._times.popleft())
        now = time.monotonic()
        if not self._now_ms and (self._bars or self._unloaded) and now >= self._next_look_at:
            self._next_look_at = now + SECONDS_BETWEEN_QUESTIONS
            self._workers.submit(self._ask_time)
        if self._now_ms and now >= self._next_look_at and not self._failing:
            self._next_look_at = now + SECONDS_BETWEEN_LOOKS
            if self._unloaded:
                self.connected(())
            self._rest.clock.observe(self.now_ms())
            for pair, bars in self._bars.items():
                self._heal(pair, bars, GRACE_MS)
        self.flush()
        while self._forgotten and not self._closes:
            pair = self._forgotten.popleft()
            if pair in self._bars and not self._bars[pair].streamed:
                for known in (self._bars, self._stored_until, self._live):
                    known.pop(pair, None)

    def close(self) -> None:
        """Write what there is, and begin nothing more."""
        self._workers.close()
        self.flush()

    def now_ms(self) -> int:
        """Return the exchange's time, never ahead of it."""
        if not self._now_ms:
            return self._rest.clock.now_ms()
        return self._now_ms + int(1000 * (time.monotonic() - self._now_at))

    def streamed_now_ms(self) -> int | None:
        """Return the exchange's time as its frames tell it, or REST where there are none.

        None before the first; never waits.
        """
        return self.now_ms() if self._now_ms else None

    def final_until(self, pair: Pair) -> int | None:
        """Return before which time a pair's bars are stored and told, None where it isn't live."""
        return self._stored_until.get(pair)

    def pending(self) -> int:
        """Return how many closes wait to be written."""
        return len(self._closes)

    def healing(self) -> int:
        """Return how many pairs lack a bar that should have closed by now."""
        return sum(bars.asked for bars in self._bars.values())

    # -- healing

    def _load(self, pairs: list[Pair]) -> None:
        """Begin with pairs where the cache's coverage of them ends."""
        now_ms = self.now_ms()
        cache = CandleCache(self._redis, self._exchange_id)
        for pair, coverage in zip(pairs, cache.coverages(pairs), strict=True):
            current_ms = pair.timeframe.floor(now_ms)
            earliest_ms = current_ms - CANDLES_KEPT * pair.timeframe.ms
            known_until_ms = coverage[-1][1] if coverage else current_ms
            self._bars[pair] = Bars(pair.timeframe, max(earliest_ms, known_until_ms))
            self._stored_until[pair] = self._bars[pair].next_ms
            if pair.timeframe is self._rolls_up_from:
                start_ms = coverage[-1][0] if coverage else current_ms
                closed = cache.between(*pair, start_ms, known_until_ms)
                self._rollups[pair.symbol] = Rollup(pair.timeframe, closed, start_ms)

    def _heal(self, pair: Pair, bars: Bars, grace_ms: int) -> None:
        if span := bars.overdue(self.now_ms(), grace_ms):
            bars.asked = True
            self._workers.submit(self._ask, pair, *span)

    def _ask(self, pair: Pair, start_ms: int, end_ms: int) -> None:
        """Fetch a stretch, in a thread of the pool; the answer is taken by the next tick."""
        answer = None
        try:
            answer = self._rest.get_candles(*pair, start_ms, end_ms, lane=Lane.HEAL)
        except (LivermoreError, RedisError) as error:
            logger.warning("sink.heal_failed pair=%s/%s error=%s", *pair, error)
        except Exception:
            logger.exception("sink.heal_died pair=%s/%s", *pair)
        finally:
            self._answers.append((pair, end_ms, answer))

    def _ask_time(self) -> None:
        """Ask REST for the time, where nothing is streamed that would tell it."""
        try:
            self._times.append(self._rest.clock.now_ms())
        except (LivermoreError, RedisError) as error:
            logger.warning("sink.no_time error=%s", error)

    def _take_answer(self, pair: Pair, end_ms: int, answer: Candles | None) -> None:
        bars = self._bars.get(pair)
        if bars is None:
            return  # removed meanwhile
        before_ms = bars.next_ms
        if answer is not None:
            closes = bars.healed(answer, answer.covered)
            self.healed += sum(close.healed and close.candle is not None for close in closes)
            self._tell(pair, closes)
        if bars.next_ms >= end_ms:
            bars.asked = False  # answered, be it by the stream meanwhile
        elif bars.next_ms == before_ms:
            bars.failed(self.now_ms())

    # -- writing

    def _tell(self, pair: Pair, closes: list[Close]) -> None:
        for close in closes:
            if len(self._closes) >= CLOSES_HELD:
                logger.error("sink.full pair=%s/%s from=%d", *pair, close.covered[0])
                self._bars[pair].take_back(close.covered[0])
                return
            self._closes.append((pair, close))
            if close.candle and pair.timeframe is self._rolls_up_from:
                self._rollups[pair.symbol].close(close.candle)

    def flush(self) -> None:
        """Write what waits, in one round trip; keep it where that fails."""
        now = time.monotonic()
        if now < self._retry_at or not (self._closes or self._live or self._tickers):
            return
        if not self._may_write():
            return
        closes = list(islice(self._closes, CLOSES_PER_FLUSH))
        now_ms = self.now_ms()
        live = {pair: c for pair, c in self._live.items() if self._is_news(pair, c, now_ms)}
        tickers = self._tickers
        self._live, self._tickers = {}, {}
        try:
            self._flusher.write(closes, live, tickers, now_ms)
        except RedisError as error:
            self._live, self._tickers = live | self._live, tickers | self._tickers
            self._flush_failed(error, now)
            return
        self._failing = False
        for _ in closes:
            self._closes.popleft()
        for pair, close in closes:
            if pair in self._bars:
                self._stored_until[pair] = close.covered[1]
            if close.candle:
                self._on_close(pair.symbol, close.candle, close.healed)
        told = [close.candle for _, close in closes if close.candle]
        self.closes += len(told)
        self.newest_close_ms = max(
            (candle.close_time_ms for candle in told), default=self.newest_close_ms
        )
        if told and self._now_ms:
            streamed = [close.covered[1] for _, close in closes if not close.healed]
            self.delays.add(streamed, self.now_ms())

    def _flush_failed(self, error: RedisError, now: float) -> None:
        if not self._failing:
            logger.warning("sink.flush_failed exchange=%d error=%s", self._exchange_id, error)
        self._failing = True
        self.flush_failures += 1
        self._retry_at = now + SECONDS_BETWEEN_LOOKS

    def _is_news(self, pair: Pair, candle: Candle, now_ms: int) -> bool:
        """Tell whether an open candle is one still: not closed, and not two bars old."""
        bars = self._bars.get(pair)
        ends_ms = candle.timestamp + 2 * pair.timeframe.ms
        return bars is not None and candle.timestamp >= bars.next_ms and ends_ms > now_ms
