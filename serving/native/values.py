"""MACD-V of many pairs, read from Redis for all who ask within a moment."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis

from livermore.market.pair import Pair
from serving.native.current import are_current
from serving.reading import CacheReader
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache

HOLDS_SECONDS = 0.5  # all pairs of a thousand symbols take Redis some 30 ms, which others wait for

Wanted = tuple[int, tuple[Pair, ...]]  # an exchange's id, and pairs of it
Found = list[dict[str, Any]]


class MacdValues:
    """Reads values, one request after the other. For one loop."""

    def __init__(self, redis: Redis, reader: CacheReader):
        self._redis = redis
        self._reader = reader
        self._kept: dict[Wanted, tuple[float, Found]] = {}
        self._reading = asyncio.Lock()

    async def read(
        self, exchange_id: int, pairs: Sequence[Pair], lag_ms: int, now_ms: int
    ) -> Found:
        """Return what is told of each pair; arguments as in `are_current`. Raises Unavailable."""
        wanted = exchange_id, tuple(pairs)
        async with self._reading:
            oldest = time.monotonic() - HOLDS_SECONDS
            self._kept = {what: kept for what, kept in self._kept.items() if kept[0] > oldest}
            if wanted not in self._kept:
                which = exchange_id, pairs, lag_ms, now_ms
                found = await self._reader.read(self._read, *which)
                self._kept[wanted] = time.monotonic(), found
            return self._kept[wanted][1]

    def _read(self, exchange_id: int, pairs: Sequence[Pair], lag_ms: int, now_ms: int) -> Found:
        values = IndicatorCache(self._redis, exchange_id).read_many(pairs)
        current = are_current(CandleCache(self._redis, exchange_id), pairs, values, lag_ms, now_ms)
        return [
            {"symbol": pair.symbol, "timeframe": pair.timeframe, "macdV": value, "current": is_new}
            for pair, value, is_new in zip(pairs, values, current, strict=True)
        ]
