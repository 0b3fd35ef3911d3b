"""From a stream's events to the cache: every close once, in order, and what is missing fetched."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable

from redis import Redis

from exchanges.rest.base import VenueRest
from exchanges.rest.clock import ExchangeClock, time_of
from exchanges.rest.reply import QuietBars
from exchanges.stream.events import CandleUpdate, Concluded, Quiet, Revised, Traded
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.live.bars import Bars
from warmup.live.healing import Healer
from warmup.live.loading import PairLoader
from warmup.live.overdue import OverdueBars
from warmup.live.pairs.streamed_pairs import StreamedPairs
from warmup.live.redis_loss.recovery import Recovery
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.live.revised import RevisedBars
from warmup.live.writing.close_writer import CloseWriter
from warmup.live.writing.write_queue import WriteQueue

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_WAITS = 0.02
ROUNDING_MS = 100  # how long before its end, by the clock, a bar may be said to be closed
SHADOWED_MS = 600_000  # what is doubted of bars before is left to who holds the exchange
NOBODYS = 0  # an epoch that Redis lets write nothing


class CandleSink:
    """Keeps one exchange's cache current from its stream.

    The streamer's thread calls it. What is missing is asked of `rest` by threads of its own.
    A flush that fails is kept and tried again: open candles and tickers only in their newest
    state, closes all of them up to 200,000, after which their pairs are marked to be healed.
    Raises Fenced when another holder has the lock by now; `may_write` is asked before each flush.

    Without an epoch (`NOBODYS`) it follows the stream beside the exchange's holder, and neither
    writes nor asks for anything until it is told to `take_over`.

    What was written is counted by its `writer`.

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
        self._exchange_id = exchange_id
        # Where no row is left out the next one is there at once, so a lost frame needs no telling.
        has_a_row = rest.quiet_bars is QuietBars.FILLS
        self._tells_losses = not has_a_row
        self._rolls_up_from = rolls_up_from
        self._longer = [each for each in Timeframe if rolls_up_from and each.ms > rolls_up_from.ms]
        self._cache = cache = CandleCache(redis, exchange_id, epoch)
        self._healer = healer = Healer(cache, rest)
        self._pairs = pairs = StreamedPairs(cache, rolls_up_from, rest.depth_rows, has_a_row)
        self._bars = pairs.bars
        self._writes = writes = WriteQueue(redis, exchange_id, epoch, may_write)
        writes.lately.skipped = pairs.skipped.by_pair
        has_begun = epoch != NOBODYS
        self.writer = writer = CloseWriter(writes, pairs, cache, rest.clock, on_close, has_begun)
        self._loader = PairLoader(pairs, healer, writer, writes, cache, rest.clock)
        self._overdue = OverdueBars(pairs, healer, writer, cache)
        self._revised = RevisedBars(pairs, cache)
        self._recovery = Recovery(writes, pairs, self.now_ms, lambda: self.on_loss())
        self._forgotten: deque[Pair] = deque()
        self._doubted: deque[Revised] = deque()
        self._next_look_at = 0.0
        self._begun_ms = 0  # what opened by then has begun, as the clock said in the last round
        self.healed = 0

    def remember_in(self, lately: WrittenLately) -> None:
        """Keep there what is written; what is in it the runner before wrote, in this process.

        To be called before anything is streamed.
        """
        lately.skipped = self._pairs.skipped.by_pair
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
        now_ms = time_of(self._rest.clock)
        if update.closed and candle.close_time_ms <= now_ms + ROUNDING_MS:
            self.writer.take(pair, bars.update(candle))
            if self._writes.is_enough:
                self.writer.send_ahead(now_ms)
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
            found = self._pairs.rollups[pair.symbol].open_candles(wide)
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
            for _, bars in self._pairs.of_symbol(event.symbol):
                bars.has_traded(event.time_ms)

    def quiet(self, event: Quiet) -> None:
        now_ms = self.streamed_now_ms()
        if now_ms is None:
            return
        for pair, bars in self._pairs.of_symbol(event.symbol):
            self.writer.take(pair, bars.is_quiet(event.from_ms, min(event.to_ms, now_ms)))

    def concluded(self, event: Concluded) -> None:
        """Take a bar that others show to be closed; one of which more was shown is left to REST."""
        bars = self._bars.get(Pair(event.symbol, event.candle.timeframe))
        if bars and not bars.was_shown_wider(event.candle):
            self.candle(CandleUpdate(event.symbol, event.candle, closed=True))

    def revised(self, event: Revised) -> None:
        self._doubted.append(event)

    def revised_elsewhere(self, event: Revised) -> None:
        """Learn, in any other thread, that REST shows a bar as another one."""
        self._doubted.append(event)

    def ticker(self, ticker: Ticker) -> None:
        self._writes.show_ticker(ticker)

    def clock(self, time_ms: int) -> None:
        self._rest.clock.note_frame(time_ms)

    def received_until(self, time_ms: int) -> None:
        self._healer.received_ms = time_ms

    def connected(self, pairs: Iterable[Pair]) -> None:
        self._loader.begin(pairs, self._tells_losses)

    def catch_up(self, pairs: Iterable[Pair]) -> None:
        """Look for what closed of these before, while they are not streamed yet.

        So it stays until they are `connected` or `disconnected`.
        """
        self._loader.begin(pairs, whole=False)

    def polled(self, pairs: Iterable[Pair]) -> None:
        self.connected(pairs)  # nothing will close their bars, so REST is asked at each end

    def disconnected(self, pairs: Iterable[Pair]) -> None:
        self._pairs.disconnected(pairs)

    def forget(self, pairs: Iterable[Pair]) -> None:
        """Learn, in any thread, that these are not to be streamed any more."""
        self._forgotten.extend(pairs)

    def heal_now(self, pairs: Collection[Pair], longest_seconds: float) -> str:
        """Let REST be asked for what is overdue of these, and wait for that; in any other thread.

        What it told is written by then. Returns why it can't be asked, "" where it can.
        """
        deadline = time.monotonic() + longest_seconds
        self._overdue.want(pairs)
        while self._overdue.are_wanted(pairs) and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_WAITS)
        return self._healer.trouble if self._healer.is_away else ""

    def repaired(self, pair: Pair) -> None:
        """Learn, in any thread, that candles of a pair were written that were not told."""
        self._pairs.skipped.repaired(pair)

    # -- its rounds

    def closed(self) -> None:
        """Write what closed, without waiting for the round's end."""
        self.writer.write_closes()

    def tick(self) -> None:
        """Take what REST answered, ask for what is overdue, write what there is."""
        self._begun_ms = self.streamed_now_ms() or 0
        if not self.has_begun:
            self._load_again()
            return
        self._recovery.step()
        self._overdue.ask_wanted(self.streamed_now_ms())
        may_write = self.writer.write_closes()
        for pair, closes in self._healer.answers(self._bars, self.streamed_now_ms() or 0):
            self.healed += sum(close.candle is not None and not close.stored for close in closes)
            self.writer.take(pair, closes)
        now = time.monotonic()
        if now >= self._next_look_at and not self._writes.is_failing:
            self._next_look_at = now + SECONDS_BETWEEN_LOOKS
            self._look(now)
        if may_write:
            self.flush()
        while self._forgotten and not self._writes.pending:
            pair = self._forgotten.popleft()
            if pair in self._bars and not self._bars[pair].streamed:
                self._pairs.forget(pair)
                self._writes.forget(pair)
                self._writes.lately.forget([pair])

    def _load_again(self) -> None:
        """Load what could not be read before: beside another holder nothing else does."""
        since_ms = self._begun_ms - SHADOWED_MS
        while self._doubted and self._doubted[0].time_ms < since_ms:
            self._doubted.popleft()  # the holder has seen that, too
        now = time.monotonic()
        if self._pairs.unloaded and now >= self._next_look_at:
            self._next_look_at = now + SECONDS_BETWEEN_LOOKS
            self.connected(())

    def _look(self, now: float) -> None:
        """See to what is due."""
        pairs, now_ms = self._pairs, self.streamed_now_ms()
        if now_ms is None:
            if pairs.unloaded:
                self._healer.keep_time()
            return
        pairs.take_back(now)
        while self._doubted:
            self._revised.add(self._doubted.popleft())
        if not self._writes.pending:
            self._revised.take_back(now_ms)
        if pairs.unloaded:
            self.connected(())
        self._loader.leave_future(now_ms)
        self._overdue.look(now, now_ms)
        if self._bars or pairs.unloaded:
            self._healer.keep_time()  # last, as a pair's answer tells more of an outage
        self.writer.take_late(now_ms)

    def flush(self) -> None:
        """Write what waits, closes first; keep it where that fails."""
        self.writer.flush()

    def close(self) -> None:
        """Write what there is, and begin nothing more."""
        self._healer.close()
        self.flush()

    # -- beside another holder

    @property
    def has_begun(self) -> bool:
        """Tell whether it may write: not while somebody else has the exchange."""
        return self.writer.has_begun

    def follows(self, pairs: Iterable[Pair]) -> bool:
        """Tell whether all of these are streamed, and what was stored of them is known."""
        return self._pairs.follow(pairs)

    def take_over(self, epoch: int, may_write: Callable[[], bool]) -> None:
        """Go on where the holder before was, under this epoch, and write what it has not.

        To be called in the streamer's thread, once Redis refuses the writes of that one.
        """
        self.writer.has_begun = True
        self._cache.epoch = epoch
        self._next_look_at = 0.0
        if self._loader.take_over(epoch, may_write):
            self._recovery.begin()

    def doubt(self) -> None:
        """Learn that Redis may have lost something since it was looked at last."""
        self._writes.losses.doubt(lacks=True)

    # -- how it is

    def now_ms(self) -> int:
        """Return the exchange's time, never ahead of it."""
        return time_of(self._rest.clock)

    def streamed_now_ms(self) -> int | None:
        """Return the exchange's time, None before it was ever known; never waits."""
        return self._rest.clock.believed_ms()

    def final_until(self, pair: Pair) -> int | None:
        """Return before which time a pair's bars are stored and told, None where it isn't live."""
        return self._pairs.stored_until.get(pair)

    def keeps(self, pair: Pair) -> bool:
        """Tell whether anything is known of a pair: not once it was forgotten."""
        return pair in self._bars

    def pending(self) -> int:
        """Return how many closes wait to be written."""
        return self._writes.pending

    def healing(self) -> int:
        """Return how many pairs lack a bar that should have closed by now."""
        now_ms = self.now_ms() if self._bars else 0
        return self._pairs.lacking(now_ms, self.is_away)

    def asking(self) -> int:
        """Return of how many pairs an answer of REST is awaited."""
        return self._pairs.asked()

    def unanswered(self) -> set[str]:
        """Return the symbols of which REST had no news at several tries: have they ended?"""
        return self._pairs.unanswered()

    def waiting(self) -> list[Pair]:
        """Return the pairs of which REST, asked for the newest bar, does not know it yet."""
        return self._pairs.waiting()

    def aside(self) -> dict[Pair, str]:
        """Return of the pairs that are set aside why: one of their keys is of another type."""
        return dict(self._pairs.aside.why)

    def skipped(self) -> list[Pair]:
        """Return the pairs of which something was skipped that is not known yet."""
        return list(self._pairs.skipped.by_pair)

    @property
    def is_away(self) -> bool:
        """Return whether the exchange's REST is away, or refuses us."""
        return self._healer.is_away

    @property
    def exchange_clock(self) -> ExchangeClock:
        return self._rest.clock

    @property
    def loss_count(self) -> int:
        """Return how often Redis had lost something, or was another one than before."""
        return self._writes.losses.loss_count

    @property
    def flush_failures(self) -> int:
        """Return how many writes failed, and were tried again."""
        return self._writes.failures

    @property
    def trouble(self) -> str:
        """Return which key of the exchange keeps everything from being written, "" where none."""
        return self._writes.trouble
