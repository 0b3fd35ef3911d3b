"""From a stream's events to the cache: every close once, in order, and what is missing fetched."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from exchanges.rest.base import VenueRest
from exchanges.rest.clock import ExchangeClock
from exchanges.rest.reply import QuietBars
from exchanges.stream.events import CandleUpdate, Quiet, Traded
from livermore.market.candle import Candle, Ticker
from livermore.market.coverage import intersect
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.set_aside import SetAside
from warmup.cache.told import Told
from warmup.live.bars import EVER, GRACE_MS, LATE, SKIPPED, TOLD, Bars, Close
from warmup.live.healing import Healer
from warmup.live.measures import Delays
from warmup.live.pairs.rollup import Rollup
from warmup.live.pairs.set_aside import AsidePairs
from warmup.live.pairs.skipped import Skipped
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.live.resuming import resume
from warmup.live.writing.write_queue import WriteQueue, Written

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5
FLUSHES_PER_ROUND = 100  # of closes, where many wait
ROUNDING_MS = 100  # how long before its end, by the clock, a bar may be said to be closed
LEAST_WAIT_SECONDS = 3.0  # for REST, however fast the exchange's time goes
SECONDS_AHEAD = 2.0  # how long bars have to be ahead of the clock to be taken back
FAILURES_UNTIL_DOUBT = 2
NOBODYS = 0  # an epoch that Redis lets write nothing


class CandleSink:
    """Keeps one exchange's cache current from its stream.

    The streamer's thread calls it. What is missing is asked of `rest` by threads of its own.
    A flush that fails is kept and tried again: open candles and tickers only in their newest
    state, closes all of them up to 200,000, after which their pairs are marked to be healed.
    Raises Fenced when another holder has the lock by now; `may_write` is asked before each flush.

    Without an epoch (`NOBODYS`) it follows the stream beside the exchange's holder, and neither
    writes nor asks for anything until it is told to `take_over`.

    What time it is on the exchange is the clock of `rest` to decide: no bar is final before its
    end by that, whatever a frame says.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        rest: VenueRest,
        epoch: int,
        may_write: Callable[[], bool] = lambda: True,
        rolls_up_from: Timeframe | None = None,
        on_close: Callable[[str, Candle, bool], object] = lambda symbol, candle, healed: None,
    ):
        """`on_close(symbol, candle, healed)` is called for each close once it is told."""
        self.on_loss: Callable[[], None] = lambda: None  # called where Redis may have lost writes
        self._rest = rest
        self._rolls_up_from = rolls_up_from
        self._longer = [each for each in Timeframe if rolls_up_from and each.ms > rolls_up_from.ms]
        self._on_close = on_close
        self._exchange_id = exchange_id
        self._cache = CandleCache(redis, exchange_id, epoch)
        # Where no row is left out the next one is there at once, so a lost frame needs no telling.
        self._tells_losses = rest.quiet_bars is QuietBars.OMITS
        self._healer = Healer(self._cache, rest)
        self._rollups: dict[str, Rollup] = {}
        self._bars: dict[Pair, Bars] = {}
        self._stored_until: dict[Pair, int] = {}
        self._skipped = Skipped(self._cache)
        self._writes = WriteQueue(redis, exchange_id, epoch, may_write, self._written)
        self._writes.lately.skipped = self._skipped.by_pair
        self._is_comparing = False
        self._ahead_since: float | None = None
        self._next_due_ms = 0  # before that no bar is overdue
        self._held_since: dict[Pair, float] = {}  # whose closes wait for one that is missing
        self._next_look_at = 0.0
        self._begun_ms = 0  # what opened by then has begun, as the clock said in the last round
        self._unloaded: set[Pair] = set()
        self._forgotten: deque[Pair] = deque()
        self._aside = AsidePairs(self._cache)
        self._is_shadow = epoch == NOBODYS
        self.closes = self.healed = self.late = 0
        self.newest_close_ms = 0
        self.delays = Delays()  # of closes that the stream told, from the bar's end to Redis

    def remember_in(self, lately: WrittenLately) -> None:
        """Keep there what is written; what is in it the runner before wrote, in this process.

        To be called before anything is streamed.
        """
        lately.skipped = self._skipped.by_pair
        self._writes.remember_in(lately, self._cache.epoch or NOBODYS)

    def heal_by(self, redis: Redis, on_idle: Callable[[], object]) -> None:
        """Let the threads that ask REST look into the cache by connections of their own.

        `on_idle` is called when none of these threads is left.
        """
        self._healer.read_cache = CandleCache(redis, self._exchange_id)
        self._healer.on_idle = on_idle

    # -- from the stream

    def candle(self, update: CandleUpdate) -> None:
        candle = update.candle
        pair = Pair(update.symbol, candle.timeframe)
        bars = self._bars.get(pair)
        if bars is None:
            return
        if not update.closed and candle.timestamp <= self._begun_ms:
            self._take_open(pair, bars, candle)  # as nearly all are: the clock is not asked
            return
        now_ms = self.now_ms()
        if update.closed and candle.close_time_ms <= now_ms + ROUNDING_MS:
            self._take(pair, bars.update(candle))
            if self._writes.is_enough:
                self._send_ahead(now_ms)
        elif candle.timestamp <= now_ms + ROUNDING_MS:  # else it has not begun, whoever says so
            self._take_open(pair, bars, candle)

    def _take_open(self, pair: Pair, bars: Bars, candle: Candle) -> None:
        """Take a candle that is open still, or that is said to be closed before its end."""
        wide = bars.widen(candle)
        if wide is None:
            return
        self._writes.show(pair, wide)
        if pair.timeframe is not self._rolls_up_from:
            return
        longer = {}
        if candle.timestamp == bars.next_ms:
            found = self._rollups[pair.symbol].open_candles(wide)
            longer = {each.timeframe: each for each in found}
        for timeframe in self._longer:
            other = Pair(pair.symbol, timeframe)
            if (its_bars := self._bars.get(other)) is None:
                continue
            if timeframe not in longer:
                its_bars.has_traded(candle.timestamp)
            elif whole := its_bars.widen(longer[timeframe]):
                self._writes.show(other, whole)

    def traded(self, event: Traded) -> None:
        now_ms = self.streamed_now_ms()
        if now_ms is not None and event.time_ms <= now_ms + ROUNDING_MS:
            for _, bars in self._bars_of(event.symbol):
                bars.has_traded(event.time_ms)

    def quiet(self, event: Quiet) -> None:
        now_ms = self.streamed_now_ms()
        if now_ms is None:
            return
        for pair, bars in self._bars_of(event.symbol):
            self._take(pair, bars.is_quiet(event.from_ms, min(event.to_ms, now_ms)))

    def _bars_of(self, symbol: str) -> Iterator[tuple[Pair, Bars]]:
        for timeframe in Timeframe:
            pair = Pair(symbol, timeframe)
            if bars := self._bars.get(pair):
                yield pair, bars

    def ticker(self, ticker: Ticker) -> None:
        self._writes.show_ticker(ticker)

    def clock(self, time_ms: int) -> None:
        self._rest.clock.note_frame(time_ms)

    def received_until(self, time_ms: int) -> None:
        self._healer.received_ms = time_ms

    def connected(self, pairs: Iterable[Pair]) -> None:
        self._begin(pairs, self._tells_losses)

    def catch_up(self, pairs: Iterable[Pair]) -> None:
        """Look for what closed of these before, while they are not streamed yet.

        So it stays until they are `connected` or `disconnected`.
        """
        self._begin(pairs, whole=False)

    def _begin(self, pairs: Iterable[Pair], whole: bool) -> None:
        """Load what was not yet, and look for what closed before.

        `whole` where every trade is streamed from some moment on.
        """
        pairs = set(pairs) | self._unloaded
        now_ms = self.streamed_now_ms()
        if now_ms is None:
            self._unloaded = pairs  # until REST has told the time
            return
        try:
            self._load([pair for pair in pairs if pair not in self._bars])
        except RedisError as error:
            logger.warning("sink.not_loaded pairs=%d error=%s", len(pairs), error)
            self._unloaded = pairs  # the next tick tries again
            return
        self._unloaded, self._next_due_ms = set(), 0
        in_a_moment_ms = now_ms + GRACE_MS + self._rest.clock.apart_ms
        whole_from_ms = in_a_moment_ms if whole else EVER
        for pair in pairs:
            bars = self._bars[pair]
            bars.reconnected(now_ms, whole_from_ms)
            bars.skip_to(pair.timeframe.floor(now_ms) - CANDLES_KEPT * pair.timeframe.ms)
            if not self._is_shadow:
                self._healer.heal(pair, bars, now_ms, grace_ms=0)  # what closed meanwhile, at once

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

    def repaired(self, pair: Pair) -> None:
        """Learn, in any thread, that candles of a pair were written that were not told."""
        self._skipped.repaired(pair)

    def closed(self) -> None:
        """Write what closed, without waiting for the round's end."""
        self._write_closes()

    def tick(self) -> None:
        """Take what REST answered, ask for what is overdue, write what there is."""
        self._begun_ms = self.streamed_now_ms() or 0
        if self._is_shadow:
            return
        self._compare()
        may_write = self._write_closes()
        for pair, closes in self._healer.answers(self._bars, self.streamed_now_ms() or 0):
            self.healed += sum(close.candle is not None and not close.stored for close in closes)
            self._take(pair, closes)
        now = time.monotonic()
        if now >= self._next_look_at and not self._writes.is_failing:
            self._next_look_at = now + SECONDS_BETWEEN_LOOKS
            self._look(now)
        if may_write:
            self.flush()
        while self._forgotten and not self._writes.pending:
            pair = self._forgotten.popleft()
            if pair in self._bars and not self._bars[pair].streamed:
                del self._bars[pair]
                self._stored_until.pop(pair, None)
                for each in (self._writes, self._skipped, self._aside):
                    each.forget(pair)
                self._writes.lately.forget([pair])

    def _compare(self) -> None:
        """Where it is time to, look whether Redis lost something, and write that again.

        Nothing else is written before that is done.
        """
        losses = self._writes.losses
        if losses.is_awaited:
            try:
                self._writes.compare(self.now_ms())
            except RedisError as error:
                logger.debug("sink.not_begun error=%s", error)
                return
        if not losses.is_due or not self._writes.may_write() or not self._writes.finish():
            return
        try:
            loss = losses.settle()
        except RedisError as error:
            if not self._is_comparing:
                logger.warning("sink.not_compared error=%s", error)
            self._is_comparing = True
            return
        self._is_comparing = False
        if loss:
            for pair, gaps in loss.gaps.items():
                for stretch in gaps:
                    self._skipped.add(pair, stretch)
            for pair in self._bars:
                self.repaired(pair)
            self.on_loss()

    def _look(self, now: float) -> None:
        """See to what is due."""
        now_ms = self.streamed_now_ms()
        if now_ms is None:
            if self._unloaded:
                self._healer.keep_time()
            return
        for pair in self._aside.take_back(now):
            bars = self._bars.pop(pair, None)
            if bars and bars.streamed:
                self._unloaded.add(pair)
        if self._unloaded:
            self.connected(())
        self._leave_future(now_ms)
        if now_ms >= self._next_due_ms:
            self._look_at_bars(now, now_ms)
        if self._bars or self._unloaded:
            self._healer.keep_time()  # last, as a pair's answer tells more of an outage
        for pair, close in self._skipped.known():
            self._writes.closes.append((pair, self._writes.losses.marked(pair, close)))

    def _look_at_bars(self, now: float, now_ms: int) -> None:
        """See to the bars that are overdue, and to closes that wait; note when the next may be."""
        self._next_due_ms = EVER
        for pair, bars in self._bars.items():
            if bars.holds_back:
                self._next_due_ms = 0
            elif bars.streamed:
                self._next_due_ms = min(self._next_due_ms, bars.due_ms)
            if bars.due_ms > now_ms and not bars.holds_back and not self._held_since:
                continue
            self._healer.heal(pair, bars, now_ms)
            if not bars.holds_back:
                self._held_since.pop(pair, None)
            elif now - self._held_since.setdefault(pair, now) > LEAST_WAIT_SECONDS:
                self._stop_waiting(pair, bars, now_ms)

    def close(self) -> None:
        """Write what there is, and begin nothing more."""
        self._healer.close()
        self.flush()

    def now_ms(self) -> int:
        """Return the exchange's time, never ahead of it."""
        believed = self._rest.clock.believed_ms()
        return self._rest.clock.now_ms() if believed is None else believed

    def streamed_now_ms(self) -> int | None:
        """Return the exchange's time, None before it was ever known; never waits."""
        return self._rest.clock.believed_ms()

    def final_until(self, pair: Pair) -> int | None:
        """Return before which time a pair's bars are stored and told, None where it isn't live."""
        return self._stored_until.get(pair)

    def keeps(self, pair: Pair) -> bool:
        """Tell whether anything is known of a pair: not once it was forgotten."""
        return pair in self._bars

    def pending(self) -> int:
        """Return how many closes wait to be written."""
        return self._writes.pending

    def healing(self) -> int:
        """Return how many pairs lack a bar that should have closed by now."""
        now_ms = self.now_ms() if self._bars else 0
        away = self._healer.is_away
        return sum(
            bars.asked
            or bars.holds_back
            or pair in self._skipped.by_pair
            or bool(away and bars.overdue(now_ms))
            for pair, bars in list(self._bars.items())
        )

    def asking(self) -> int:
        """Return of how many pairs an answer of REST is awaited."""
        return sum(bars.asked for bars in list(self._bars.values()))

    def unanswered(self) -> set[str]:
        """Return the symbols of which REST had no news at several tries: have they ended?"""
        return {
            pair.symbol
            for pair, bars in list(self._bars.items())
            if bars.streamed and bars.failures >= FAILURES_UNTIL_DOUBT
        }

    def waiting(self) -> list[Pair]:
        """Return the pairs of which REST, asked for the newest bar, does not know it yet."""
        return [pair for pair, bars in list(self._bars.items()) if bars.is_waiting]

    def aside(self) -> dict[Pair, str]:
        """Return of the pairs that are set aside why: one of their keys is of another type."""
        return dict(self._aside.why)

    def doubt(self) -> None:
        """Learn that Redis may have lost something since it was looked at last."""
        self._writes.losses.doubt(lacks=True)

    @property
    def loss_count(self) -> int:
        """Return how often Redis had lost something, or was another one than before."""
        return self._writes.losses.loss_count

    @property
    def trouble(self) -> str:
        """Return which key of the exchange keeps everything from being written, "" where none."""
        return self._writes.trouble

    @property
    def flush_failures(self) -> int:
        """Return how many writes failed, and were tried again."""
        return self._writes.failures

    def skipped(self) -> list[Pair]:
        """Return the pairs of which something was skipped that is not known yet."""
        return list(self._skipped.by_pair)

    @property
    def is_away(self) -> bool:
        """Return whether the exchange's REST is away, or refuses us."""
        return self._healer.is_away

    @property
    def exchange_clock(self) -> ExchangeClock:
        return self._rest.clock

    # -- beginning with pairs, taking them over, and leaving them

    @property
    def has_begun(self) -> bool:
        """Tell whether it may write: not while somebody else has the exchange."""
        return not self._is_shadow

    def follows(self, pairs: Iterable[Pair]) -> bool:
        """Tell whether all of these are streamed, and what was stored of them is known."""
        return all(pair in self._bars and self._bars[pair].streamed for pair in pairs)

    def take_over(self, epoch: int, may_write: Callable[[], bool]) -> None:
        """Go on where the holder before was, under this epoch, and write what it has not.

        To be called in the streamer's thread, once Redis refuses the writes of that one.
        """
        self._is_shadow = False
        self._cache.epoch = epoch
        self._next_look_at = 0.0
        try:
            marks = self._cache.told(list(self._bars))
            self._healer.doubt(self._cache.unconfirmed())
        except RedisError as error:
            logger.warning("sink.not_loaded pairs=%d error=%s", len(self._bars), error)
            self._unloaded |= {pair for pair, bars in self._bars.items() if bars.streamed}
            self._bars.clear()
            self._writes.begin(epoch, may_write, dict.fromkeys(self._unloaded, EVER))
            return
        self._writes.begin(epoch, may_write, {pair: m.until_ms for pair, m in marks.items()})
        told = {pair: bars.next_ms for pair, bars in self._bars.items()}
        told |= {pair: mark.until_ms for pair, mark in marks.items()}
        self._writes.lately.begin(told)
        for pair, mark in marks.items():
            self._go_on(pair, mark)
        with suppress(RedisError):  # the next tick tries again
            self._writes.compare(self.now_ms())

    def _go_on(self, pair: Pair, mark: Told) -> None:
        """Go on with a pair where its closes were told by the holder before."""
        bars = self._bars[pair]
        self._skipped.forget(pair)
        if skipped := intersect(mark.skipped, ((0, min(mark.until_ms, bars.next_ms)),)):
            self._skipped.by_pair[pair] = skipped
            self.repaired(pair)
        if pair in self._aside.why:
            return
        self._stored_until[pair] = mark.until_ms
        if mark.until_ms <= bars.next_ms:
            return
        if pair.timeframe is self._rolls_up_from:  # the cache has what longer ones are made of
            del self._bars[pair]
            self._unloaded.add(pair)
        else:
            self._take(pair, bars.told_elsewhere(mark.until_ms))

    def _load(self, pairs: Sequence[Pair]) -> None:
        if self.has_begun:
            self._writes.compare(self.now_ms())
        aside = self._cache.aside(pairs)
        begins = resume(self._cache, self._rest.clock, pairs)
        self._healer.doubt(self._cache.unconfirmed())
        self._writes.lately.begin({pair: begin.next_ms for pair, begin in begins.items()})
        for pair, begin in begins.items():
            candles: Sequence[Candle] = ()
            if begin.next_ms < begin.known_until_ms:
                candles = self._cache.between(*pair, begin.next_ms, begin.known_until_ms)
            if pair.timeframe is self._rolls_up_from:
                start_ms = begin.coverage[-1][0] if begin.coverage else begin.known_until_ms
                closed = self._cache.between(*pair, start_ms, begin.known_until_ms)
                self._rollups[pair.symbol] = Rollup(pair.timeframe, closed, start_ms)
            bars = self._bars[pair] = Bars(pair.timeframe, begin.next_ms)  # all was read
            if why := aside.get(pair):
                self._set_aside(pair, why)
                continue
            self._stored_until[pair] = begin.next_ms
            self._writes.mark(pair, begin.next_ms)
            if begin.skipped:
                self._skipped.by_pair[pair] = begin.skipped
                self.repaired(pair)  # maybe it was, by a command
            if begin.next_ms < begin.known_until_ms:
                self._take(pair, bars.cached(candles, begin.coverage))

    def _leave_future(self, now_ms: int) -> None:
        """Load pairs again whose bars stay ahead of now, as the clock was moved back."""
        latest_ms = now_ms + self._rest.clock.apart_ms
        ahead = {pair for pair, bars in self._bars.items() if bars.next_ms > latest_ms}
        if not ahead:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = time.monotonic()
            self._rest.clock.forget()
        elif time.monotonic() - self._ahead_since > SECONDS_AHEAD and not self._writes.pending:
            streamed = {pair for pair in ahead if self._bars[pair].streamed}
            for pair in ahead:
                del self._bars[pair]
            self._unloaded |= streamed

    # -- what is late

    def _stop_waiting(self, pair: Pair, bars: Bars, now_ms: int) -> None:
        """Let closes wait no longer for one that is missing, if they have for a minute."""
        traded, closes = bars.traded, bars.stop_waiting(now_ms)
        if not closes:
            return
        if lacking := intersect(traded, (closes[0].covered,)):
            try:
                self._cache.note_traded(pair, lacking, now_ms)
            except (RedisError, SetAside) as error:
                logger.warning("sink.not_noted pair=%s/%s error=%s", *pair, error)
        self._take(pair, closes)

    # -- writing

    def _take(self, pair: Pair, closes: Iterable[Close]) -> None:
        """Keep what became known until it is written; of a pair that is set aside nothing is."""
        is_aside = pair in self._aside.why
        for close in closes:
            if close.how != TOLD:
                self._next_due_ms = 0
            if self._writes.is_full:
                logger.error("sink.full pair=%s/%s from=%d", *pair, close.covered[0])
                self._bars[pair].take_back(close.covered[0])
                self._next_due_ms = 0
                return
            if not is_aside:
                self._writes.closes.append((pair, self._writes.losses.marked(pair, close)))
            if close.how == SKIPPED:
                if not is_aside:
                    logger.warning("sink.skipped pair=%s/%s from=%d to=%d", *pair, *close.covered)
                    self._skipped.add(pair, close.covered)
                if pair.timeframe is self._rolls_up_from:
                    self._rollups[pair.symbol].lacks_before(close.covered[1])
            if close.candle and close.how and pair.timeframe is self._rolls_up_from:
                self._rollups[pair.symbol].close(close.candle)

    def flush(self) -> None:
        """Write what waits, closes first; keep it where that fails."""
        now_ms = self.streamed_now_ms()
        if now_ms is not None and self._writes.may_try and self._write_closes():
            self._writes.send_rest(now_ms, self._is_news)
            self._writes.finish()

    def _send_ahead(self, now_ms: int) -> None:
        """Let Redis write what has closed while more is read."""
        if not self._is_shadow and self._writes.may_try:
            self._writes.send_closes(now_ms)

    def _write_closes(self) -> bool:
        """Write the closes that wait, told as they go; tell whether nothing hinders that."""
        now_ms = self.streamed_now_ms()
        if self._is_shadow or now_ms is None or not self._writes.may_try:
            return False
        for _ in range(FLUSHES_PER_ROUND):
            if not self._writes.closes:
                break
            if not self._writes.send_closes(now_ms):
                return False
        return self._writes.finish()

    def _written(self, written: Written) -> None:
        """Take note of what was written just now."""
        if written.aside:
            self._leave_out(written.aside)
        for pair, close in written.closes:
            if pair in self._bars and close.how in (TOLD, SKIPPED):
                self._stored_until[pair] = close.covered[1]
            if close.candle and close.how:
                self._on_close(pair.symbol, close.candle, close.healed)
        self._count([close for _, close in written.closes])

    def _count(self, closes: Sequence[Close]) -> None:
        """Count closes that were written just now."""
        told = [close.candle for close in closes if close.candle and close.how]
        self.closes += len(told)
        self.late += sum(close.candle is not None and close.how == LATE for close in closes)
        self.newest_close_ms = max(
            (candle.close_time_ms for candle in told), default=self.newest_close_ms
        )
        streamed = [
            close.covered[1] for close in closes if close.candle and close.how and not close.healed
        ]
        if streamed:
            self.delays.add(streamed, self.now_ms())

    def _leave_out(self, pairs: set[Pair]) -> None:
        """Set pairs aside whose closes were not written."""
        why: dict[Pair, str] = {}
        with suppress(RedisError):
            why = self._cache.aside(list(pairs))
        for pair in pairs:
            self._set_aside(pair, why.get(pair, "a key of it was of another type for a moment"))
        self._writes.leave_out(pairs)

    def _set_aside(self, pair: Pair, why: str) -> None:
        """Write and tell nothing of a pair until its keys are of the right type again.

        What closes meanwhile is fetched then, and told in turn.
        """
        self._aside.add(pair, why)
        self._stored_until.pop(pair, None)
        self._skipped.forget(pair)
        self._writes.unmark(pair)

    def _is_news(self, pair: Pair, candle: Candle, now_ms: int) -> bool:
        """Tell whether an open candle is one still: not closed, and not two bars old."""
        bars = self._bars.get(pair)
        ends_ms = candle.timestamp + 2 * pair.timeframe.ms
        is_open = bars is not None and bars.may_be_open(candle.timestamp)
        return is_open and ends_ms > now_ms
