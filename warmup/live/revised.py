"""Bars that the stream shows as others than they were told: forgotten, fetched, told again."""

import logging

from redis.exceptions import RedisError

from exchanges.stream.events import Revised
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.set_aside import SetAside
from warmup.live.bars import GRACE_MS, Bars
from warmup.live.pairs.streamed_pairs import StreamedPairs

logger = logging.getLogger(__name__)


class RevisedBars:
    """What was told of some pairs in vain, until it is taken back."""

    def __init__(self, pairs: StreamedPairs, cache: CandleCache):
        self._pairs = pairs
        self._cache = cache
        self._from_ms: dict[Pair, int] = {}

    def add(self, event: Revised) -> None:
        """Doubt the bars of all timeframes that hold its time, and what came after them."""
        for timeframe in Timeframe:
            pair = Pair(event.symbol, timeframe)
            if pair not in self._pairs.bars and pair not in self._pairs.unloaded:
                continue
            opened_ms = pair.timeframe.floor(event.time_ms)
            self._from_ms[pair] = min(opened_ms, self._from_ms.get(pair, opened_ms))
            if rollup := self._pairs.rollups.get(pair.symbol):
                rollup.take_back(event.time_ms)

    def take_back(self, now_ms: int) -> None:
        """Forget them, so that REST is asked; to be called when nothing waits to be written."""
        for pair, from_ms in list(self._from_ms.items()):
            if (bars := self._pairs.bars.get(pair)) is None:
                if pair not in self._pairs.unloaded:
                    del self._from_ms[pair]  # it is not streamed any more
                continue
            if not bars.has_closed(from_ms):
                bars.forget_shown(from_ms, now_ms + GRACE_MS)  # it may have shown as much wrongly
            elif not self._cut_back(pair, bars, from_ms, now_ms):
                continue
            del self._from_ms[pair]

    def _cut_back(self, pair: Pair, bars: Bars, from_ms: int, now_ms: int) -> bool:
        """Forget what closed of a pair from a time on; tell whether that could be done."""
        logger.warning("sink.revised pair=%s/%s from=%d", *pair, from_ms)
        try:
            self._cache.cut_back(pair, from_ms, now_ms)
        except (RedisError, SetAside) as error:
            logger.warning("sink.not_revised pair=%s/%s error=%s", *pair, error)
            return False
        if from_ms < bars.next_ms:  # whoever fetches it, it is told late
            self._pairs.skipped.add(pair, (from_ms, bars.next_ms))
        bars.take_back(from_ms)
        if bars.streamed:
            del self._pairs.bars[pair]
            self._pairs.unloaded.add(pair)
        return True
