"""Open candles as rows of an answer: as their stream told them, else as the exchange does."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from livermore.market.coverage import Coverage
from livermore.market.coverage import missing as missing_in
from livermore.market.derived import AnyTimeframe, base_of, join
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.answer import NOT_TOLD, CandleAnswer, in_time
from serving.candles.cached import Cached
from serving.candles.selection import Selection, Wanted, is_awaited, select
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.fetching.fetches import Fetches, Outcome
from serving.fetching.opened import LONGEST_OPEN_SECONDS, OpenBar, OpenCandle
from serving.memory.windows import Window
from serving.standing.origins import REST, STREAM

MOST_LOOKS = 3  # for an answer whose open candle has not ended meanwhile


class OpenRow(NamedTuple):
    """The open candle as it is stored; whether something of it was there, and was fetched.

    `origin` is who told it.
    """

    row: list[Any]
    kept: bool
    fetched: bool
    origin: str


class OpenRows:
    """Tells open candles of all exchanges. Any number of tasks may ask."""

    def __init__(self, cached: Cached, fetches: Fetches):
        self._cached = cached
        self._fetches = fetches

    async def get(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        now_ms: int,
        open_bar: OpenBar | None = None,
    ) -> OpenRow | None:
        """Return the candle that was open at a time, None where it isn't known as a whole.

        `open_bar` is what the exchange has told of it just now, if it has.
        """
        pair = Pair(symbol, base_of(timeframe))
        open_ms = pair.timeframe.floor(now_ms)
        (candle, was_kept), origin = await self._open_candle(exchange, pair, open_ms, open_bar)
        # Of the next bar it may be by now, behind which the one that has ended would be missing.
        if candle is None or candle.timestamp != open_ms:
            return None
        opened = timeframe.floor(now_ms)
        if isinstance(timeframe, Timeframe) or opened == candle.timestamp:
            return OpenRow(candle.row(), was_kept, not was_kept, origin)
        window = await self._cached.current(exchange, pair)
        missing = missing_in(window.coverage, opened, open_ms)
        if missing and not is_awaited(window.coverage, pair.timeframe, now_ms):
            window = await self._fetched(exchange, pair, missing)
            was_kept = False
        if missing_in(window.coverage, opened, open_ms):
            return None
        first, last = (bisect_left(window.times, each) for each in (opened, candle.timestamp))
        row = join([*window.rows[first:last], candle.row()], opened)
        return OpenRow(row, was_kept or first < last, not was_kept, origin)

    async def missing(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, now_ms: int
    ) -> Coverage:
        """Return what isn't known of the bars that have ended of an open candle made of them."""
        base = base_of(timeframe)
        kept = await self._cached.current(exchange, Pair(symbol, base))
        if is_awaited(kept.coverage, base, now_ms):
            return ()
        return missing_in(kept.coverage, timeframe.floor(now_ms), base.floor(now_ms))

    async def _fetched(self, exchange: ServedExchange, pair: Pair, missing: Coverage) -> Window:
        """Have the bars fetched that have ended of an open candle which is made of them."""
        fetching = self._fetches.fetch(exchange, pair, missing)
        outcome = await in_time(fetching, LONGEST_OPEN_SECONDS)
        failure = outcome.failure if isinstance(outcome, Outcome) else outcome
        window = await self._cached.read_again(exchange, pair)
        if left := missing_in(window.coverage, missing[0][0], missing[-1][1]):
            self._fetches.note_in_vain(exchange, pair, left, failure or NOT_TOLD)
        return window

    async def _open_candle(
        self, exchange: ServedExchange, pair: Pair, open_ms: int, open_bar: OpenBar | None
    ) -> tuple[OpenCandle, str]:
        """Return the candle open since a time, and who told it: the exchange where no stream has.

        None has at the beginning of a bar, and after that of a stream, until there is a trade.
        """
        is_monitored = exchange.symbols[pair.symbol].is_monitored
        is_streamed = is_monitored and self._cached.is_streamed_now(exchange)
        if is_streamed:
            candle = await self._cached.live(exchange, pair)
            if candle and candle.timestamp >= open_ms:
                return OpenCandle(candle, was_kept=True), STREAM
        if open_bar and open_bar.open_ms == open_ms:
            return OpenCandle(open_bar.candle, was_kept=False), REST
        return await self._fetches.open_candles.get(exchange, pair, open_ms, is_streamed), REST


async def while_open(
    cached: Cached,
    exchange: ServedExchange,
    symbol: str,
    timeframe: AnyTimeframe,
    look: Callable[[], Awaitable[CandleAnswer]],
) -> CandleAnswer:
    """Return an answer with the open candle only while that is open. Raises Unavailable."""
    for _ in range(MOST_LOOKS):
        answer = await look()
        if answer.open_row is None:
            return answer
        now_ms = await cached.now_ms(exchange)
        if timeframe.floor(now_ms) <= timeframe.floor(answer.now_ms):
            return answer
    which = f"{exchange.name} {symbol} {timeframe}"
    raise Unavailable(f"{which}: each open candle had ended before it could be told")


def without_open(
    window: Window, timeframe: AnyTimeframe, wanted: Wanted, now_ms: int, found: Selection
) -> Selection:
    """Return what answers a request where the open candle isn't known: one more, if that is."""
    more = select(window.times, window.coverage, timeframe, wanted, now_ms, has_open=False)
    return found if more.missing else more
