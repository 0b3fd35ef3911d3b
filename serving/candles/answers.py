"""What is answered about candles: from the cache where that is complete, else fetched first."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from redis.exceptions import RedisError

from livermore.market.coverage import Coverage
from livermore.market.coverage import missing as missing_in
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.clocks import Clocks
from serving.candles.derived import AnyTimeframe, derive, join
from serving.candles.fetching import Failure, Fetches
from serving.candles.selection import Selection, Wanted, select
from serving.candles.unavailable import Unavailable
from serving.candles.windows import Window, Windows
from serving.directory import ServedExchange
from warmup.cache.candles import CANDLES_KEPT

Found = TypeVar("Found")

HIT, MISS = "livermore; hit", "livermore; fwd=miss"
LONGEST_FETCH_SECONDS = 10.0


class OlderThanKept(Exception):
    """What is `missing` is older than the cache keeps."""

    def __init__(self, missing: Coverage):
        super().__init__("older than the cache keeps")
        self.missing = missing


@dataclass(slots=True)
class CandleAnswer:
    """Closed candles `[first, last)` of a window, the open one's row, and what it stands on."""

    window: Window
    first: int
    last: int
    open_row: list[Any] | None
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

    async def candles(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> CandleAnswer:
        """Return the candles that a request wants, all of them.

        Raises Unavailable, and OlderThanKept: `older` has those.
        """
        source = "stream" if isinstance(timeframe, Timeframe) else "derived"
        status = HIT
        window, found = await self._select(exchange, symbol, timeframe, wanted)
        if found.missing:
            if found.missing[0][0] < self._kept_from_ms(exchange, timeframe):
                raise OlderThanKept(found.missing)
            status = MISS
            window, found = await self._fetched(exchange, symbol, timeframe, wanted, found)
        open_row = None
        if found.takes_open:
            open_row = await self._open_row(exchange, symbol, timeframe)
        headers = self._headers(exchange, window, timeframe) | {
            "X-Livermore-Source": source,
            "Cache-Status": status,
        }
        return CandleAnswer(window, found.first, found.last, open_row, headers)

    def _headers(
        self, exchange: ServedExchange, window: Window, timeframe: AnyTimeframe
    ) -> dict[str, str]:
        """Return what is said of the closed candles of a window."""
        headers = {"X-Livermore-Complete": "1"}
        if window.times:
            newest_ms = window.times[-1] + timeframe.ms
            headers["X-Livermore-Newest-Close"] = str(newest_ms)
            headers["Age"] = str(max(0, (self.now_ms(exchange) - newest_ms) // 1000))
        return headers

    async def _fetched(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        found: Selection,
    ) -> tuple[Window, Selection]:
        """Have what is missing fetched into the cache, and look again. Raises Unavailable."""
        pair = Pair(symbol, base_of(timeframe))
        failure = await _in_time(self._fetches.fetch(exchange, pair, found.missing))
        # That it has changed may not have been told yet.
        await self._in_thread(self._windows.read, exchange, pair)
        window, found = await self._select(exchange, symbol, timeframe, wanted)
        if found.missing:
            raise _unavailable(exchange, symbol, timeframe, found.missing, failure)
        return window, found

    async def older(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        missing: Coverage,
    ) -> CandleAnswer:
        """Fetch closed candles older than the cache keeps, for this alone. Raises Unavailable."""
        pair = Pair(symbol, base_of(timeframe))
        start_ms = wanted.start_ms
        if start_ms is None:
            start_ms = missing[-1][1] - wanted.limit * timeframe.ms
        end_ms = min(start_ms + wanted.limit * timeframe.ms, self.now_ms(exchange))
        told = await _in_time(self._fetches.pass_on(exchange, pair, start_ms, end_ms))
        if isinstance(told, Failure):
            raise _unavailable(exchange, symbol, timeframe, missing, told)
        window = _view(Window(told.times, told.rows, told.coverage), timeframe)
        now_ms = self.now_ms(exchange)
        found = select(window.times, window.coverage, timeframe, wanted, now_ms)
        if found.missing:
            raise _unavailable(exchange, symbol, timeframe, found.missing, None)
        headers = self._headers(exchange, window, timeframe)
        headers |= {"X-Livermore-Source": "rest", "Cache-Status": MISS}
        return CandleAnswer(window, found.first, found.last, None, headers)

    async def _select(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> tuple[Window, Selection]:
        window = _view(await self._window(exchange, Pair(symbol, base_of(timeframe))), timeframe)
        now_ms = self.now_ms(exchange)
        return window, select(window.times, window.coverage, timeframe, wanted, now_ms)

    async def _window(self, exchange: ServedExchange, pair: Pair) -> Window:
        window = self._windows.kept(exchange.exchange_id, pair)
        return window or await self._in_thread(self._windows.read, exchange, pair)

    async def _open_row(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe
    ) -> list[Any] | None:
        """Return the open candle, None where it isn't known as a whole."""
        pair = Pair(symbol, base_of(timeframe))
        was_read, candle = self._windows.kept_live(exchange.exchange_id, pair)
        if not was_read:
            candle = await self._in_thread(self._windows.read_live, exchange, pair)
        now_ms = self.now_ms(exchange)
        if candle is None or candle.timestamp != pair.timeframe.floor(now_ms):
            return None
        opened = timeframe.floor(now_ms)
        if isinstance(timeframe, Timeframe) or opened == candle.timestamp:
            return candle.values()
        window = await self._window(exchange, pair)
        if missing_in(window.coverage, opened, candle.timestamp):
            return None
        first = bisect_left(window.times, opened)
        return join([*window.rows[first:], candle.values()], opened)

    def _kept_from_ms(self, exchange: ServedExchange, timeframe: AnyTimeframe) -> int:
        """Return from when on the cache can hold what a timeframe is made of."""
        base = base_of(timeframe)
        return base.floor(self.now_ms(exchange)) - CANDLES_KEPT * base.ms

    async def _in_thread(self, read, exchange: ServedExchange, pair: Pair):
        try:
            return await sync_to_async(read, thread_sensitive=False)(exchange.exchange_id, pair)
        except RedisError as error:
            raise Unavailable(f"the cache can't be read: {error}") from error


def base_of(timeframe: AnyTimeframe) -> Timeframe:
    """Return the timeframe whose candles are kept."""
    return timeframe if isinstance(timeframe, Timeframe) else timeframe.base


def _view(window: Window, timeframe: AnyTimeframe) -> Window:
    """Return a window of the candles that are kept as one of a timeframe; it is made once."""
    if isinstance(timeframe, Timeframe):
        return window
    if timeframe.text not in window.derived:
        rows, coverage = derive(window.rows, window.coverage, timeframe)
        window.derived[timeframe.text] = Window([row[0] for row in rows], rows, coverage)
    return window.derived[timeframe.text]


async def _in_time(fetching: Awaitable[Found]) -> Found | Failure:
    try:
        async with asyncio.timeout(LONGEST_FETCH_SECONDS):
            return await fetching
    except TimeoutError:
        return Failure(f"that takes longer than {LONGEST_FETCH_SECONDS:.0f} s")


def _unavailable(
    exchange: ServedExchange,
    symbol: str,
    timeframe: AnyTimeframe,
    missing: Coverage,
    failure: Failure | None,
) -> Unavailable:
    start_ms, end_ms = missing[0][0], missing[-1][1]
    why, seconds = failure or Failure("the exchange did not tell them")
    return Unavailable(
        f"{exchange.name} {symbol} {timeframe}: candles from {_utc(start_ms)} to {_utc(end_ms)} "
        f"are not known yet: {why}",
        seconds,
    )


def _utc(time_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms / 1000))
