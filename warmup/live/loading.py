"""Where a stream begins with its pairs: loaded from the cache, or taken over as they are."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from redis.exceptions import RedisError

from exchanges.rest.clock import ExchangeClock
from livermore.market.candle import Candle
from livermore.market.coverage import intersect
from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache
from warmup.cache.told import Told
from warmup.live.bars import EVER, GRACE_MS, Bars
from warmup.live.healing import Healer
from warmup.live.pairs.streamed_pairs import StreamedPairs
from warmup.live.resuming import ResumePoint, resume
from warmup.live.writing.close_writer import CloseWriter
from warmup.live.writing.write_queue import WriteQueue

logger = logging.getLogger(__name__)

SECONDS_AHEAD = 2.0  # how long bars have to be ahead of the clock to be taken back


class PairLoader:
    """Brings pairs to where their closes were told last, by whom ever.

    What can't be read of them is tried again: they are `unloaded` until it is.
    """

    def __init__(
        self,
        pairs: StreamedPairs,
        healer: Healer,
        writer: CloseWriter,
        writes: WriteQueue,
        cache: CandleCache,
        clock: ExchangeClock,
    ):
        self._pairs = pairs
        self._healer = healer
        self._writer = writer
        self._writes = writes
        self._cache = cache
        self._clock = clock
        self._ahead_since: float | None = None

    def begin(self, pairs: Iterable[Pair], whole: bool) -> None:
        """Load what was not yet, and look for what closed before.

        `whole` where every trade is streamed from some moment on.
        """
        known = self._pairs
        pairs = set(pairs) | known.unloaded
        now_ms = self._clock.believed_ms()
        if now_ms is None:
            known.unloaded = pairs  # until REST has told the time
            return
        try:
            self._load([pair for pair in pairs if pair not in known.bars], now_ms)
        except RedisError as error:
            logger.warning("sink.not_loaded pairs=%d error=%s", len(pairs), error)
            known.unloaded = pairs  # the next tick tries again
            return
        known.unloaded, known.next_due_ms = set(), 0
        in_a_moment_ms = now_ms + GRACE_MS + self._clock.apart_ms
        whole_from_ms = in_a_moment_ms if whole else EVER
        for pair in pairs:
            bars = known.bars[pair]
            bars.reconnected(now_ms, whole_from_ms)
            bars.skip_to(known.earliest_ms(pair.timeframe, now_ms))
            if self._writer.has_begun:
                self._healer.heal(pair, bars, now_ms, grace_ms=0)  # what closed meanwhile, at once

    def leave_future(self, now_ms: int) -> None:
        """Load pairs again whose bars stay ahead of now, as the clock was moved back."""
        known, latest_ms = self._pairs, now_ms + self._clock.apart_ms
        ahead = {pair for pair, bars in known.bars.items() if bars.next_ms > latest_ms}
        if not ahead:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = time.monotonic()
            self._clock.forget()
        elif time.monotonic() - self._ahead_since > SECONDS_AHEAD and not self._writes.pending:
            streamed = {pair for pair in ahead if known.bars[pair].streamed}
            for pair in ahead:
                del known.bars[pair]
            known.unloaded |= streamed

    def take_over(self, epoch: int, may_write: Callable[[], bool]) -> bool:
        """Go on where the holder before was, under this epoch; tell whether that could be read.

        Else the pairs are loaded anew.
        """
        known = self._pairs
        try:
            marks = self._cache.told(list(known.bars))
            self._healer.doubt(self._cache.unconfirmed())
        except RedisError as error:
            logger.warning("sink.not_loaded pairs=%d error=%s", len(known.bars), error)
            known.unloaded |= {pair for pair, bars in known.bars.items() if bars.streamed}
            known.bars.clear()
            self._writes.begin(epoch, may_write, dict.fromkeys(known.unloaded, EVER))
            return False
        self._writes.begin(epoch, may_write, {pair: m.until_ms for pair, m in marks.items()})
        told = {pair: bars.next_ms for pair, bars in known.bars.items()}
        told |= {pair: mark.until_ms for pair, mark in marks.items()}
        self._writes.lately.begin(told)
        for pair, mark in marks.items():
            self._go_on(pair, mark)
        return True

    def _go_on(self, pair: Pair, mark: Told) -> None:
        """Go on with a pair where its closes were told by the holder before."""
        known = self._pairs
        bars = known.bars[pair]
        known.skipped.forget(pair)
        if skipped := intersect(mark.skipped, ((0, min(mark.until_ms, bars.next_ms)),)):
            known.skipped.by_pair[pair] = skipped
            known.skipped.repaired(pair)
        if pair in known.aside.why:
            return
        known.stored_until[pair] = mark.until_ms
        if mark.until_ms <= bars.next_ms:
            return
        if pair.timeframe is known.rolls_up_from:  # the cache has what longer ones are made of
            del known.bars[pair]
            known.unloaded.add(pair)
        else:
            self._writer.take(pair, bars.told_elsewhere(mark.until_ms))

    def _load(self, pairs: Sequence[Pair], now_ms: int) -> None:
        if self._writer.has_begun:
            self._writes.compare(now_ms)
        aside = self._cache.aside(pairs)
        begins = resume(self._cache, self._clock, pairs)
        self._healer.doubt(self._cache.unconfirmed())
        self._writes.lately.begin({pair: begin.next_ms for pair, begin in begins.items()})
        for pair, begin in begins.items():
            self._begin_at(pair, begin, aside.get(pair))

    def _begin_at(self, pair: Pair, begin: ResumePoint, why: str | None) -> None:
        """Begin with a pair there; `why` it is set aside, None where it isn't."""
        known = self._pairs
        candles: Sequence[Candle] = ()
        if begin.next_ms < begin.known_until_ms:
            candles = self._cache.between(*pair, begin.next_ms, begin.known_until_ms)
        if pair.timeframe is known.rolls_up_from:
            start_ms = begin.coverage[-1][0] if begin.coverage else begin.known_until_ms
            closed = self._cache.between(*pair, start_ms, begin.known_until_ms)
            known.roll_up(pair.symbol, closed, start_ms)
        bars = known.bars[pair] = Bars(pair.timeframe, begin.next_ms)  # all was read
        if why:
            self._writer.set_aside(pair, why)
            return
        known.stored_until[pair] = begin.next_ms
        self._writes.mark(pair, begin.next_ms)
        if begin.skipped:
            known.skipped.by_pair[pair] = begin.skipped
            known.skipped.repaired(pair)  # maybe it was, by a command
        if begin.next_ms < begin.known_until_ms:
            self._writer.take(pair, bars.cached(candles, begin.coverage))
