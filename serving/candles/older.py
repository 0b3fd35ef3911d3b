"""Candles that are older than the cache keeps, fetched for one answer alone."""

from bisect import bisect_left
from collections.abc import Sequence

from livermore.market.candle import EARLIEST_MS
from livermore.market.coverage import Coverage, Interval, union
from livermore.market.derived import AnyTimeframe, base_of
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.answer import NOT_TOLD, CandleAnswer, headers_of, in_time, not_known
from serving.candles.cached import Cached
from serving.candles.open_rows import OpenRow, OpenRows, while_open, without_open
from serving.candles.selection import Wanted, reach, select, stretch_of, takes_newest, until_of
from serving.directory import ServedExchange
from serving.fetching.failures import Failure
from serving.fetching.stretches import Stretches, Told
from serving.memory.stored import StoredRows
from serving.memory.views import view
from serving.memory.windows import Window
from serving.standing.cache_status import cache_status
from serving.standing.origins import DERIVED, HEADER, REST, source

NOTHING, NOTHING_ASKED = Told([], [], ()), Told([], [], (), was_kept=True)
TOO_FEW = Failure(
    "so few bars have one that as many can't be looked for at once: ask for fewer, for a longer "
    "interval, or up to an end that is nearer"
)
# Of older bars, where many have no candle: how many are asked for at a time, and how often.
FEWEST_TOGETHER, MOST_STRETCHES = 300, 10


class OlderCandles:
    """Fetches them of all exchanges. Any number of tasks may ask."""

    def __init__(self, cached: Cached, stretches: Stretches, open_rows: OpenRows):
        self._cached = cached
        self._stretches = stretches
        self._open_rows = open_rows

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
        """Fetch candles older than the cache keeps, for this alone, and join what it has of them.

        Of bars from a start on, as many as are wanted, some may have none: `until_ms` says how far
        it got, or the next ones are fetched too until it `is_filled`. The open one is there where
        it is wanted and known. Raises Unavailable.
        """
        pair = Pair(symbol, base_of(timeframe))

        async def look() -> CandleAnswer:
            now_ms = await self._cached.time_of(exchange, symbol, timeframe)
            stretch = stretch_of(timeframe, wanted, now_ms)
            told, end_ms = await self._looked_for(
                exchange, pair, timeframe, wanted, stretch, now_ms, is_filled=is_filled
            )
            if isinstance(told, Failure):
                raise not_known(exchange, symbol, timeframe, missing, told)
            return await self._answer(exchange, symbol, timeframe, wanted, told, end_ms, now_ms)

        return await while_open(self._cached, exchange, symbol, timeframe, look)

    async def _looked_for(
        self,
        exchange: ServedExchange,
        pair: Pair,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        stretch: Interval,
        now_ms: int,
        *,
        is_filled: bool,
    ) -> tuple[Told | Failure, int]:
        """Return what was told of a stretch, and of more until it `is_filled`, and up to when."""
        start_ms, end_ms = stretch
        first_ms = max(start_ms, timeframe.ceil(EARLIEST_MS))
        told: Told | Failure = NOTHING
        if first_ms < end_ms:
            told = await in_time(self._told(exchange, pair, first_ms, end_ms))
        if is_filled and wanted.start_ms is not None and isinstance(told, Told):
            until_ms = until_of(timeframe, wanted, now_ms)
            filling = self._filled(exchange, pair, timeframe, wanted, told, end_ms, until_ms)
            told = await in_time(filling)
            end_ms = until_ms
        if isinstance(told, Told) and start_ms < first_ms:  # there was no exchange yet
            told = told._replace(coverage=union([*told.coverage, (start_ms, first_ms)]))
        return told, end_ms

    async def _told(
        self, exchange: ServedExchange, pair: Pair, start_ms: int, end_ms: int
    ) -> Told | Failure:
        """Return a stretch: what the cache knows up to its end, before that the exchange's word."""
        kept = await self._cached.current(exchange, pair)
        known_ms = reach(kept.coverage, end_ms) if kept.is_readable else end_ms
        known_ms = max(start_ms, known_ms)
        told: Told | Failure = NOTHING_ASKED
        if start_ms < known_ms:
            told = await self._stretches.pass_on(exchange, pair, start_ms, known_ms)
        if isinstance(told, Failure) or known_ms == end_ms:
            return told
        first, last = (bisect_left(kept.times, each) for each in (known_ms, end_ms))
        known = Told([*kept.times[first:last]], kept.rows[first:last], ((known_ms, end_ms),))
        known = known._replace(was_kept=True)
        return told.followed_by(known)

    async def _answer(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        told: Told,
        end_ms: int,
        now_ms: int,
    ) -> CandleAnswer:
        """Return what is wanted of what was told up to a time, the open one behind it."""
        window = view(Window(told.times, StoredRows.of(told.rows), told.coverage), timeframe)
        is_newest = takes_newest(timeframe, wanted, now_ms) and end_ms == timeframe.floor(now_ms)
        within = wanted if is_newest else wanted._replace(end_ms=end_ms - 1)
        found = select(window.times, window.coverage, timeframe, within, now_ms)
        opened = None
        if found.takes_open and not found.missing:
            opened = await self._open_rows.get(exchange, symbol, timeframe, now_ms)
            if opened is None:
                found = without_open(window, timeframe, within, now_ms, found)
        if found.missing:
            raise not_known(exchange, symbol, timeframe, found.missing, NOT_TOLD)
        base = await self._cached.current(exchange, Pair(symbol, base_of(timeframe)))
        kept = view(base, timeframe)
        headers = headers_of(kept if kept.times else window, timeframe, now_ms)
        headers["Cache-Status"] = cache_status(
            kept=told.was_kept or told.some_was_kept or bool(opened and opened.kept),
            fetched=not told.was_kept or bool(opened and opened.fetched),
        )
        headers |= _source(base, timeframe, window.times[found.first : found.last], opened)
        row = opened and opened.row
        return CandleAnswer(window, found.first, found.last, row, headers, now_ms, until_ms=end_ms)

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
            more = await self._told(exchange, pair, start_ms, end_ms)
            if isinstance(more, Failure):
                return more
            told = told.followed_by(more)
        return TOO_FEW


def _source(
    kept: Window, timeframe: AnyTimeframe, times: Sequence[int], opened: OpenRow | None
) -> dict[str, str]:
    """Return the header that says how candles came of which the cache may have had some."""
    if not isinstance(timeframe, Timeframe):
        return {HEADER: DERIVED}
    origins = {REST} | kept.origins.of([*set(times).intersection(kept.times)])
    return source(origins | {opened.origin} if opened else origins)
