"""Tickers as the stream told them, read for several requests at once."""

import time
from collections.abc import Sequence

from redis import Redis

from livermore.market.candle import Ticker
from serving.directory import ServedExchange
from serving.reading import CacheReader
from warmup.cache.tickers import TickerCache

HOLDS_SECONDS = 0.25


class Tickers:
    """Reads tickers, each again after a moment."""

    def __init__(self, redis: Redis, reader: CacheReader):
        self._redis = redis
        self._reader = reader
        self._kept: dict[tuple[int, str], tuple[float, Ticker | None]] = {}

    async def read(self, exchange: ServedExchange, symbols: Sequence[str]) -> dict[str, Ticker]:
        """Return the last ticker of each symbol of which one is known. Raises Unavailable."""
        number, now = exchange.exchange_id, time.monotonic()
        old = [each for each in symbols if self._age((number, each), now) > HOLDS_SECONDS]
        if old:
            read_many = TickerCache(self._redis, number).read_many
            told = {each.symbol: each for each in await self._reader.read(read_many, old)}
            self._kept |= {(number, each): (now, told.get(each)) for each in old}
        found = {each: self._kept[number, each][1] for each in symbols}
        return {symbol: ticker for symbol, ticker in found.items() if ticker}

    def _age(self, which: tuple[int, str], now: float) -> float:
        return now - self._kept[which][0] if which in self._kept else float("inf")
