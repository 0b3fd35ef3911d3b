"""Candles that are older than the cache keeps, fetched for one answer alone."""

from livermore.market.candle import EARLIEST_MS
from livermore.market.coverage import Coverage, union
from livermore.market.derived import AnyTimeframe, base_of
from livermore.market.pair import Pair
from serving.candles.answer import NOT_TOLD, CandleAnswer, headers_of, in_time, not_known
from serving.candles.cached import Cached
from serving.candles.selection import Wanted, select, stretch_of, until_of
from serving.directory import ServedExchange
from serving.fetching.failures import Failure
from serving.fetching.stretches import Stretches, Told
from serving.memory.stored import StoredRows
from serving.memory.views import view
from serving.memory.windows import Window
from serving.standing.cache_status import cache_status
from serving.standing.origins import REST, source

NOTHING = Told([], [], ())
TOO_FEW = Failure(
    "so few bars have one that as many can't be looked for at once: ask for fewer, for a longer "
    "interval, or up to an end that is nearer"
)
# Of older bars, where many have no candle: how many are asked for at a time, and how often.
FEWEST_TOGETHER, MOST_STRETCHES = 300, 10


class OlderCandles:
    """Fetches them of all exchanges. Any number of tasks may ask."""

    def __init__(self, cached: Cached, stretches: Stretches):
        self._cached = cached
        self._stretches = stretches

    async def get(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        missing: Coverage,
        *,
        is_filled: bool = False,
    ) -> CandleAnswer:
        """Fetch closed candles older than the cache keeps, for this alone. Raises Unavailable.

        Of bars from a start on, as many as are wanted, some may have none: `until_ms` says how far
        it got, or the next ones are fetched too until it `is_filled`.
        """
        pair = Pair(symbol, base_of(timeframe))
        now_ms = await self._cached.now_ms(exchange)
        start_ms, end_ms = stretch_of(timeframe, wanted, now_ms)
        first_ms = max(start_ms, timeframe.ceil(EARLIEST_MS))
        told: Told | Failure = NOTHING
        if first_ms < end_ms:
            told = await in_time(self._stretches.pass_on(exchange, pair, first_ms, end_ms))
        if is_filled and wanted.start_ms is not None and isinstance(told, Told):
            until_ms = until_of(timeframe, wanted, now_ms)
            filling = self._filled(exchange, pair, timeframe, wanted, told, end_ms, until_ms)
            told = await in_time(filling)
            end_ms = until_ms
        if isinstance(told, Failure):
            raise not_known(exchange, symbol, timeframe, missing, told)
        rows, known = StoredRows.of(told.rows), told.coverage
        if start_ms < first_ms:  # there was no exchange yet
            known = union([*known, (start_ms, first_ms)])
        window = view(Window(told.times, rows, known), timeframe)
        within = wanted._replace(end_ms=end_ms - 1)
        found = select(window.times, window.coverage, timeframe, within, now_ms)
        if found.missing:
            raise not_known(exchange, symbol, timeframe, found.missing, NOT_TOLD)
        kept = view(await self._cached.current(exchange, pair), timeframe)
        headers = headers_of(kept if kept.times else window, timeframe, now_ms)
        headers["Cache-Status"] = cache_status(kept=told.was_kept, fetched=not told.was_kept)
        headers |= source([REST])
        return CandleAnswer(window, found.first, found.last, None, headers, now_ms, until_ms=end_ms)

    async def _filled(
        self,
        exchange: ServedExchange,
        pair: Pair,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        told: Told,
        end_ms: int,
        until_ms: int,
    ) -> Told | Failure:
        """Return what was told up to a time, with those behind it until as many are there."""
        for at in range(MOST_STRETCHES):
            bars = len({timeframe.floor(opened) for opened in told.times})
            if bars >= wanted.limit or end_ms >= until_ms:
                return told
            if at and not bars:  # it may be years before its first one
                begin_ms = await self._stretches.first_traded(
                    exchange, pair.symbol, end_ms, until_ms
                )
                if isinstance(begin_ms, Failure):
                    return begin_ms
                told = told.followed_by(Told([], [], union([(end_ms, begin_ms)])))
                end_ms = begin_ms
            # Twice as many as are lacking, and no more: the newest may not be proven yet.
            count = max(2 * (wanted.limit - bars), FEWEST_TOGETHER)
            start_ms, end_ms = end_ms, min(end_ms + count * timeframe.ms, until_ms)
            more = await self._stretches.pass_on(exchange, pair, start_ms, end_ms)
            if isinstance(more, Failure):
                return more
            told = told.followed_by(more)
        return TOO_FEW
