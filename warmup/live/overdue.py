"""Bars that should have closed by now: asked for, and waited for no longer than others may wait."""

import logging
from collections.abc import Iterable

from redis.exceptions import RedisError

from livermore.market.coverage import intersect
from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache
from warmup.cache.set_aside import SetAside
from warmup.live.bars import EVER, Bars
from warmup.live.healing import WANTED_AT_ONCE, Healer
from warmup.live.pairs.streamed_pairs import StreamedPairs
from warmup.live.writing.close_writer import CloseWriter

logger = logging.getLogger(__name__)

LEAST_WAIT_SECONDS = 3.0  # for REST, however fast the exchange's time goes


class OverdueBars:
    """Sees to the bars of a stream that are overdue, and to closes that wait for one of them."""

    def __init__(
        self, pairs: StreamedPairs, healer: Healer, writer: CloseWriter, cache: CandleCache
    ):
        self._pairs = pairs
        self._healer = healer
        self._writer = writer
        self._cache = cache
        self._held_since: dict[Pair, float] = {}  # whose closes wait for one that is missing
        self._wanted: dict[Pair, bool] = {}  # somebody waits for them: REST was asked for that

    def look(self, now: float, now_ms: int) -> None:
        """Ask for what is overdue, if anything may be; note when the next may be.

        `now` is monotonic, `now_ms` the exchange's time.
        """
        pairs = self._pairs
        if now_ms < pairs.next_due_ms:
            return
        pairs.next_due_ms = EVER
        for pair, bars in pairs.bars.items():
            if bars.holds_back:
                pairs.next_due_ms = 0
            elif bars.streamed:
                pairs.next_due_ms = min(pairs.next_due_ms, bars.due_ms)
            if bars.due_ms > now_ms and not bars.holds_back and not self._held_since:
                continue
            self._healer.heal(pair, bars, now_ms)
            if not bars.holds_back:
                self._held_since.pop(pair, None)
            elif now - self._held_since.setdefault(pair, now) > LEAST_WAIT_SECONDS:
                self._stop_waiting(pair, bars, now_ms)

    def want(self, pairs: Iterable[Pair]) -> None:
        """Learn, in any thread, that somebody waits for what is overdue of these."""
        for pair in pairs:
            self._wanted[pair] = False

    def are_wanted(self, pairs: Iterable[Pair]) -> bool:
        """Tell, in any thread, whether REST has still to answer for one of these."""
        return any(pair in self._wanted for pair in pairs)

    def ask_wanted(self, now_ms: int | None) -> None:
        """Ask at once for what somebody waits for, however rarely it is asked for else."""
        wanted = list(self._wanted.items())
        under_way = sum(was_asked for _, was_asked in wanted)
        for pair, was_asked in wanted:
            bars = self._pairs.bars.get(pair)
            if bars and bars.asked:
                continue
            if bars and now_ms is not None and not was_asked:
                if under_way >= WANTED_AT_ONCE:
                    continue
                self._healer.heal(pair, bars, now_ms, wanted=True)
                if bars.asked:
                    self._wanted[pair] = True
                    under_way += 1
                    continue
            self._wanted.pop(pair, None)

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
        self._writer.take(pair, closes)
