"""What closes no longer waited for: told late, once it is known."""

import logging
from collections import deque
from collections.abc import Callable

from redis.exceptions import RedisError

from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval, intersect, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.live.bars import EVER, LATE, Close

logger = logging.getLogger(__name__)


class Skipped:
    """The stretches of each pair that were skipped and are not known yet: `by_pair`."""

    def __init__(self, cache: CandleCache, earliest_ms: Callable[[Timeframe, int], int]):
        """`earliest_ms` tells when the oldest bar opened, at a time, that can still be known."""
        self._cache = cache
        self._earliest_ms = earliest_ms
        self.by_pair: dict[Pair, Coverage] = {}
        self._repaired: deque[Pair] = deque()

    def add(self, pair: Pair, stretch: Interval) -> None:
        self.by_pair[pair] = union([*self.by_pair.get(pair, ()), stretch])

    def forget(self, pair: Pair) -> None:
        self.by_pair.pop(pair, None)

    def forget_old(self, now_ms: int) -> None:
        """Forget what is not kept, or told of no more: nobody will ever know it."""
        for pair, stretches in list(self.by_pair.items()):
            earliest_ms = self._earliest_ms(pair.timeframe, now_ms)
            self.by_pair[pair] = intersect(stretches, ((earliest_ms, EVER),))
            if not self.by_pair[pair]:
                del self.by_pair[pair]

    def repaired(self, pair: Pair) -> None:
        """Learn, in any thread, that candles of a pair were written that were not told."""
        if pair in self.by_pair:
            self._repaired.append(pair)

    def known(self) -> list[tuple[Pair, Close]]:
        """Return what was skipped and is known by now, as closes that are late."""
        found: list[tuple[Pair, Close]] = []
        pairs = {self._repaired.popleft() for _ in range(len(self._repaired))} & self.by_pair.keys()
        try:
            for pair in pairs:
                coverage = self._cache.coverage(*pair)
                for start_ms, end_ms in intersect(self.by_pair[pair], coverage):
                    candles = self._cache.between(*pair, start_ms, end_ms)
                    found += [(pair, _late(candle)) for candle in candles]
                    found.append(
                        (pair, Close(None, (start_ms, end_ms), True, stored=True, how=LATE))
                    )
                self.by_pair[pair] = subtract(self.by_pair[pair], coverage)
                if not self.by_pair[pair]:
                    del self.by_pair[pair]
        except RedisError as error:
            logger.warning("sink.not_told error=%s", error)
            self._repaired.extend(pairs)
        return found


def _late(candle: Candle) -> Close:
    return Close(candle, (candle.timestamp, candle.close_time_ms), True, stored=True, how=LATE)
