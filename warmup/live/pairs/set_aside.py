"""Pairs of which nothing is written or told, until their keys are of the right type again."""

import logging
from collections.abc import Iterable

from redis.exceptions import RedisError

from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 2.0


class AsidePairs:
    """The pairs that are set aside, and `why`."""

    def __init__(self, cache: CandleCache):
        self._cache = cache
        self.why: dict[Pair, str] = {}
        self._next_look_at = 0.0

    def add(self, pair: Pair, why: str) -> None:
        if pair not in self.why:
            logger.error("sink.set_aside pair=%s/%s why=%s", *pair, why)
        self.why[pair] = why

    def forget(self, pair: Pair) -> None:
        self.why.pop(pair, None)

    def take_back(self, now: float) -> Iterable[Pair]:
        """Look again, every two seconds; return the pairs whose keys were deleted or repaired."""
        if not self.why or now < self._next_look_at:
            return ()
        self._next_look_at = now + SECONDS_BETWEEN_LOOKS
        try:
            left = self._cache.aside(list(self.why))
        except RedisError as error:
            logger.warning("sink.aside_not_read error=%s", error)
            return ()
        back = self.why.keys() - left.keys()
        self.why = left
        for pair in back:
            logger.warning("sink.back pair=%s/%s", *pair)
        return back
