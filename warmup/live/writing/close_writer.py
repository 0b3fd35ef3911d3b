"""What closed, on its way into the write queue, and what is noted of it once it is written."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from exchanges.rest.clock import ExchangeClock, time_of
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache
from warmup.live.bars import LATE, SKIPPED, TOLD, Close
from warmup.live.measures import Delays
from warmup.live.pairs.streamed_pairs import StreamedPairs
from warmup.live.writing.write_queue import WriteQueue, Written

logger = logging.getLogger(__name__)

FLUSHES_PER_ROUND = 100  # of closes, where many wait


class CloseWriter:
    """Lets closes of pairs be written, in order, and open candles and tickers behind them.

    It counts what was written. Until it `has_begun` it writes nothing.
    """

    def __init__(
        self,
        writes: WriteQueue,
        pairs: StreamedPairs,
        cache: CandleCache,
        clock: ExchangeClock,
        on_close: Callable[[str, Candle, bool], object],
        has_begun: bool,
    ):
        """`on_close(symbol, candle, healed)` is called for each close once it is told."""
        self.has_begun = has_begun
        self.closes = self.late = 0
        self.newest_close_ms = 0
        self.delays = Delays()  # of closes that the stream told, from the bar's end to Redis
        self._writes = writes
        self._pairs = pairs
        self._cache = cache
        self._clock = clock
        self._on_close = on_close
        writes.on_written = self._written

    # -- what became known

    def take(self, pair: Pair, closes: Iterable[Close]) -> None:
        """Keep what became known until it is written; of a pair that is set aside nothing is."""
        pairs = self._pairs
        is_aside = pair in pairs.aside.why
        for close in closes:
            if close.how != TOLD:
                pairs.next_due_ms = 0
            if self._writes.is_full:
                logger.error("sink.full pair=%s/%s from=%d", *pair, close.covered[0])
                pairs.bars[pair].take_back(close.covered[0])
                pairs.next_due_ms = 0
                return
            if not is_aside:
                self._writes.closes.append((pair, self._writes.losses.marked(pair, close)))
            if close.how == SKIPPED:
                if not is_aside:
                    logger.warning("sink.skipped pair=%s/%s from=%d to=%d", *pair, *close.covered)
                    pairs.skipped.add(pair, close.covered)
                if pair.timeframe is pairs.rolls_up_from:
                    pairs.rollups[pair.symbol].lacks_before(close.covered[1])
            if close.candle and close.how:
                self._roll_up(pair, close.candle)

    def _roll_up(self, pair: Pair, candle: Candle) -> None:
        """Close the longer bars of which this was the last part."""
        pairs = self._pairs
        if pair.timeframe is not pairs.rolls_up_from:
            return
        for longer in pairs.rollups[pair.symbol].close(candle):
            other = Pair(pair.symbol, longer.timeframe)
            if bars := pairs.bars.get(other):
                self.take(other, bars.update(longer))

    def take_late(self, now_ms: int) -> None:
        """Keep what was skipped and is known by now: it is told late. Forget what nobody keeps."""
        self._pairs.skipped.forget_old(now_ms)
        for pair, close in self._pairs.skipped.known():
            self._writes.closes.append((pair, self._writes.losses.marked(pair, close)))
            if close.candle and pair in self._pairs.bars:
                self._roll_up(pair, close.candle)

    def set_aside(self, pair: Pair, why: str) -> None:
        """Write and tell nothing of a pair until its keys are of the right type again.

        What closes meanwhile is fetched then, and told in turn.
        """
        self._pairs.aside.add(pair, why)
        self._pairs.stored_until.pop(pair, None)
        self._pairs.skipped.forget(pair)
        self._writes.unmark(pair)

    # -- writing

    def flush(self) -> None:
        """Write what waits, closes first; keep it where that fails. Raises Fenced."""
        now_ms = self._clock.believed_ms()
        if now_ms is not None and self._writes.may_try and self.write_closes():
            self._writes.send_rest(now_ms, self._is_news)
            self._writes.finish()

    def send_ahead(self, now_ms: int) -> None:
        """Let Redis write what has closed while more is read."""
        if self.has_begun and self._writes.may_try:
            self._writes.send_closes(now_ms)

    def write_closes(self) -> bool:
        """Write the closes that wait, told as they go; tell whether nothing hinders that."""
        now_ms = self._clock.believed_ms()
        if not self.has_begun or now_ms is None or not self._writes.may_try:
            return False
        for _ in range(FLUSHES_PER_ROUND):
            if not self._writes.closes:
                break
            if not self._writes.send_closes(now_ms):
                return False
        return self._writes.finish()

    def _is_news(self, pair: Pair, candle: Candle, now_ms: int) -> bool:
        """Tell whether an open candle is one still: not closed, and not two bars old."""
        bars = self._pairs.bars.get(pair)
        ends_ms = candle.timestamp + 2 * pair.timeframe.ms
        is_open = bars is not None and bars.may_be_open(candle.timestamp)
        return is_open and ends_ms > now_ms

    # -- what was written

    def _written(self, written: Written) -> None:
        """Take note of what was written just now."""
        if written.aside:
            self._leave_out(written.aside)
        for pair, close in written.closes:
            if pair in self._pairs.skipped.by_pair and close.how != SKIPPED:
                self._pairs.skipped.repaired(pair)  # by what was told in turn, or waits for that
            if pair in self._pairs.bars and close.how in (TOLD, SKIPPED):
                self._pairs.stored_until[pair] = close.covered[1]
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
            self.delays.add(streamed, time_of(self._clock))

    def _leave_out(self, pairs: set[Pair]) -> None:
        """Set pairs aside whose closes were not written."""
        why: dict[Pair, str] = {}
        with suppress(RedisError):
            why = self._cache.aside(list(pairs))
        for pair in pairs:
            self.set_aside(pair, why.get(pair, "a key of it was of another type for a moment"))
        self._writes.leave_out(pairs)
