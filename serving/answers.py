"""What is answered about candles: from the cache where that is complete, else fetched first."""

import asyncio
import time
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from redis.exceptions import RedisError

from livermore.market.candle import Candle
from livermore.market.coverage import Coverage
from livermore.market.pair import Pair
from serving.clocks import Clocks
from serving.directory import ServedExchange
from serving.fetching import Failure, Fetches
from serving.selection import Selection, Wanted, select
from serving.windows import Window, Windows

RETRY_SECONDS = 5
LONGEST_FETCH_SECONDS = 10.0


class Unavailable(Exception):
    """What is asked for can't be told truthfully now; `retry_seconds` is when to ask again."""

    def __init__(self, why: str, retry_seconds: int = RETRY_SECONDS):
        super().__init__(why)
        self.retry_seconds = retry_seconds


@dataclass(slots=True)
class CandleAnswer:
    """Closed candles `[first, last)` of a window, the open one, and what it stands on."""

    window: Window
    first: int
    last: int
    open_candle: Candle | None
    headers: dict[str, str]


class Answers:
    """Answers requests for candles of all exchanges. Any number of tasks may ask."""

    def __init__(self, windows: Windows, clocks: Clocks, fetches: Fetches):
        self._windows = windows
        self._fetches = fetches
        self._clocks = clocks

    def now_ms(self, exchange: ServedExchange) -> int:
        """Return the exchange's time."""
        return self._clocks.now_ms(exchange.exchange_id)

    async def candles(self, exchange: ServedExchange, pair: Pair, wanted: Wanted) -> CandleAnswer:
        """Return the candles that a request wants, all of them. Raises Unavailable."""
        window, found = await self._select(exchange, pair, wanted)
        is_hit = not found.missing
        if not is_hit:
            window, found = await self._fetched(exchange, pair, wanted, found)
        open_candle = await self._open_candle(exchange, pair) if found.takes_open else None
        headers = {"X-Livermore-Complete": "1"}
        if window.times:
            newest_ms = window.times[-1] + pair.timeframe.ms
            headers["X-Livermore-Newest-Close"] = str(newest_ms)
            headers["Age"] = str(max(0, (self.now_ms(exchange) - newest_ms) // 1000))
        headers["Cache-Status"] = "livermore; hit" if is_hit else "livermore; fwd=miss"
        return CandleAnswer(window, found.first, found.last, open_candle, headers)

    async def _fetched(
        self, exchange: ServedExchange, pair: Pair, wanted: Wanted, found: Selection
    ) -> tuple[Window, Selection]:
        """Have what is missing fetched, and look again. Raises Unavailable."""
        try:
            async with asyncio.timeout(LONGEST_FETCH_SECONDS):
                failure = await self._fetches.fetch(exchange, pair, found.missing)
        except TimeoutError:
            failure = Failure(f"that takes longer than {LONGEST_FETCH_SECONDS:.0f} s")
        window, found = await self._select(exchange, pair, wanted)
        if found.missing:
            lacks = _what_is_missing(exchange, pair, found.missing)
            why, seconds = failure or Failure("the exchange did not tell them")
            raise Unavailable(f"{lacks}: {why}", seconds or RETRY_SECONDS)
        return window, found

    async def _select(
        self, exchange: ServedExchange, pair: Pair, wanted: Wanted
    ) -> tuple[Window, Selection]:
        window = self._windows.kept(exchange.exchange_id, pair)
        if window is None:
            window = await self._in_thread(self._windows.read, exchange, pair)
        chosen = select(
            window.times, window.coverage, pair.timeframe, wanted, self.now_ms(exchange)
        )
        return window, chosen

    async def _open_candle(self, exchange: ServedExchange, pair: Pair) -> Candle | None:
        was_read, candle = self._windows.kept_live(exchange.exchange_id, pair)
        if not was_read:
            candle = await self._in_thread(self._windows.read_live, exchange, pair)
        open_ms = pair.timeframe.floor(self.now_ms(exchange))
        return candle if candle and candle.timestamp == open_ms else None

    async def _in_thread(self, read, exchange: ServedExchange, pair: Pair):
        try:
            return await sync_to_async(read, thread_sensitive=False)(exchange.exchange_id, pair)
        except RedisError as error:
            raise Unavailable(f"the cache can't be read: {error}") from error


def _what_is_missing(exchange: ServedExchange, pair: Pair, missing: Coverage) -> str:
    start_ms, end_ms = missing[0][0], missing[-1][1]
    return (
        f"{exchange.name} {pair.symbol} {pair.timeframe}: candles from {_utc(start_ms)} to "
        f"{_utc(end_ms)} are not known yet"
    )


def _utc(time_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms / 1000))
