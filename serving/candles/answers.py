"""What is answered about candles: from the cache where that is complete, else fetched first."""

import time
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from livermore.market.coverage import Coverage, intersect, oldest_told_ms, subtract, union
from livermore.market.derived import AnyTimeframe, base_of
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.answer import (
    NOT_TOLD,
    CandleAnswer,
    OlderThanKept,
    headers_of,
    in_time,
    no_history,
    not_known,
)
from serving.candles.cached import Cached
from serving.candles.history import History, Joined
from serving.candles.older import OlderCandles
from serving.candles.open_rows import OpenRow, OpenRows, while_open, without_open
from serving.candles.selection import (
    Selection,
    Wanted,
    is_awaited,
    kept_from_ms,
    needed_of,
    select,
    select_known,
    stretch_of,
    until_of,
)
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.fetching.failures import Failure
from serving.fetching.fetches import Fetches, Outcome
from serving.fetching.opened import OpenBar
from serving.memory.views import view
from serving.memory.windows import Window
from serving.standing.cache_status import PARTIAL, cache_status
from serving.standing.origins import DERIVED, HEADER, REST, source

UNREADABLE = Failure("what is stored there is no candle; repair takes it out")
HISTORY_BEGINS = "X-Livermore-History-Begins"  # in ms: nothing older is to be had
NEWEST_BARS = 3  # which history can't have yet where the cache does not


class WithHistory(NamedTuple):
    """What history and the cache have together, what of it answers, and what was fetched first."""

    joined: Joined
    found: Selection
    fetched: Coverage


class Answers:
    """Answers requests for candles of all exchanges. Any number of tasks may ask."""

    def __init__(self, cached: Cached, fetches: Fetches, history: History | None = None):
        """`history` is asked for what the cache lacks, before the exchange is."""
        self.cached = cached
        self._history = history
        self._fetches = fetches
        self._open_rows = OpenRows(cached, fetches)
        self.older = OlderCandles(cached, fetches.stretches, self._open_rows)

    async def candles(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> CandleAnswer:
        """Return the candles that a request wants, all of them, the open one only while it is open.

        Raises Unavailable, and OlderThanKept: `older` gets those.
        """

        def look() -> Awaitable[CandleAnswer]:
            return self._candles(exchange, symbol, timeframe, wanted)

        return await while_open(self.cached, exchange, symbol, timeframe, look)

    async def day(self, exchange: ServedExchange, symbol: str) -> OpenRow | None:
        """Return the open candle of a day, which closes at the last price; None if not known."""
        now_ms = await self.cached.now_ms(exchange)
        return await self._open_rows.get(exchange, symbol, Timeframe.D1, now_ms)

    async def _candles(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> CandleAnswer:
        asked_at, open_bar = time.time(), None
        window, found, now_ms = await self.cached.find(exchange, symbol, timeframe, wanted)
        before, missing, told, is_cut = window, found.missing, None, False
        if missing:
            told = await self._with_history(exchange, symbol, timeframe, wanted, found, now_ms)
        if told:
            window, found, missing = told.joined.window, told.found, told.fetched
        elif missing:
            found = _without_too_old(exchange, symbol, timeframe, wanted, found, now_ms)
            is_cut, missing = found.missing != missing, found.missing
        if missing and not told:
            if missing[0][0] < kept_from_ms(timeframe, now_ms):
                raise OlderThanKept(missing)
            if found.takes_open:
                ended = await self._open_rows.missing(exchange, symbol, timeframe, now_ms)
                found = found._replace(missing=union([*missing, *ended]))
            window, found, now_ms, open_bar = await self._fetched(
                exchange, symbol, timeframe, wanted, found
            )
            if open_bar and open_bar.told_at < asked_at:
                open_bar = None  # it may be too old by now: if not, it is kept
        opened, kept, fetched = None, False, bool(missing)
        if found.takes_open:
            opened = await self._open_rows.get(exchange, symbol, timeframe, now_ms, open_bar)
            if opened is None:
                found = without_open(window, timeframe, wanted, now_ms, found)
                if found.first == found.last:
                    which = f"{exchange.name} {symbol} {timeframe}"
                    raise Unavailable(f"{which}: no open candle is known")
            else:
                kept, fetched = opened.kept, fetched or opened.fetched
        if fetched and not kept:  # else that is known already
            kept = _had_some(before, missing, window.times[found.first : found.last])
        headers = headers_of(before if told and before.times else window, timeframe, now_ms)
        headers["Cache-Status"] = cache_status(kept=kept, fetched=fetched)
        if is_cut and found.first < found.last:
            headers[HISTORY_BEGINS] = str(window.times[found.first])
        if told:
            needed = needed_of(window.times, timeframe, wanted, found, now_ms)
            headers[HEADER] = told.joined.source(needed, with_open=opened is not None)
        elif isinstance(timeframe, Timeframe):
            origins = window.origins.of(window.times[found.first : found.last])
            if opened:
                origins.add(opened.origin)
            headers |= source(origins | ({REST} if missing else set()))
        else:
            headers[HEADER] = DERIVED
        row = opened and opened.row
        return CandleAnswer(window, found.first, found.last, row, headers, now_ms)

    async def _with_history(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        found: Selection,
        now_ms: int,
    ) -> WithHistory | None:
        """Return what answers a request with what history has, None where it does not help.

        What both lack of what the cache can hold is fetched. Raises Unavailable.
        """
        pair, until_ms = Pair(symbol, base_of(timeframe)), until_of(timeframe, wanted, now_ms)
        newest_ms = timeframe.floor(now_ms) - NEWEST_BARS * timeframe.ms
        fetched: Coverage = ()
        while self._history and found.missing[0][0] < newest_ms:
            kept = await self.cached.current(exchange, pair)
            joined = await self._history.wanted(exchange, symbol, timeframe, wanted, until_ms, kept)
            if joined is None:
                return None
            window = joined.window
            found = select(window.times, window.coverage, timeframe, wanted, now_ms)
            if not found.missing:
                return WithHistory(joined, found, fetched)
            if fetched or found.missing[0][0] < kept_from_ms(timeframe, now_ms):
                return None
            fetched = found.missing
            await in_time(self._fetches.fetch(exchange, pair, fetched))
            await self.cached.read_again(exchange, pair)
        return None

    async def _fetched(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        found: Selection,
    ) -> tuple[Window, Selection, int, OpenBar | None]:
        """Have what is missing fetched into the cache, and look again. Raises Unavailable.

        The open bar is told too where the fetch has brought it.
        """
        pair = Pair(symbol, base_of(timeframe))
        outcome = await in_time(self._fetches.fetch(exchange, pair, found.missing))
        failure, open_bar = outcome if isinstance(outcome, Outcome) else (outcome, None)
        # That it has changed may not have been told yet.
        await self.cached.read_again(exchange, pair)
        window, found, now_ms = await self.cached.find(exchange, symbol, timeframe, wanted)
        if found.missing:
            found = _without_too_old(exchange, symbol, timeframe, wanted, found, now_ms)
        if found.missing:
            failure = failure or (NOT_TOLD if window.is_readable else UNREADABLE)
            self._fetches.note_in_vain(exchange, pair, found.missing, failure)
            raise not_known(exchange, symbol, timeframe, found.missing, failure)
        return window, found, now_ms, open_bar

    async def known(
        self,
        exchange: ServedExchange,
        symbol: str,
        timeframe: AnyTimeframe,
        wanted: Wanted,
        with_open: bool,
    ) -> CandleAnswer:
        """Return what the cache has of a request that can't be answered, and what is missing.

        Raises Unavailable where the cache can't be read.
        """
        now_ms = await self.cached.time_of(exchange, symbol, timeframe)
        kept = await self.cached.current(exchange, Pair(symbol, base_of(timeframe)))
        window = view(kept, timeframe)
        awaited_ms = timeframe.ms if is_awaited(window.coverage, timeframe, now_ms) else 0
        stretch = stretch_of(timeframe, wanted, now_ms - awaited_ms)
        found = select_known(window.times, window.coverage, stretch)
        joined = None
        if found.missing and self._history:
            joined = await self._history.between(exchange, symbol, timeframe, stretch, kept)
        newest = window
        if joined:
            window = joined.window
            found = select_known(window.times, window.coverage, stretch)
        opened = None
        if with_open and stretch[1] == timeframe.floor(now_ms):
            opened = await self._open_rows.get(exchange, symbol, timeframe, now_ms)
        headers = headers_of(newest if newest.times else window, timeframe, now_ms)
        headers["X-Livermore-Complete"] = "0" if found.missing else "1"
        headers["Cache-Status"] = PARTIAL
        if joined and joined.is_of_history(stretch):
            headers[HEADER] = joined.source(stretch, with_open=opened is not None)
        else:
            headers |= _source_of(newest, timeframe, found, opened)
        row = opened and opened.row
        return CandleAnswer(
            window, found.first, found.last, row, headers, now_ms, found.missing, stretch[1]
        )


def _without_too_old(
    exchange: ServedExchange,
    symbol: str,
    timeframe: AnyTimeframe,
    wanted: Wanted,
    found: Selection,
    now_ms: int,
) -> Selection:
    """Return the same without missing what its exchange tells of no more.

    Of the newest bars there are fewer then, as if its history began there. Raises NoHistory where a
    start is given, or where nothing is left.
    """
    base_ms = oldest_told_ms(base_of(timeframe), now_ms, exchange.depth_rows)
    told_ms = timeframe.ceil(base_ms)  # a bar that begins earlier is not to be had whole
    left = subtract(found.missing, ((0, told_ms),))
    if left == found.missing:
        return found
    if wanted.start_ms is not None or (not left and found.first == found.last):
        lost = intersect(found.missing, ((0, told_ms),))
        raise no_history(exchange, symbol, timeframe, lost, told_ms)
    return found._replace(missing=left)


def _had_some(before: Window, missing: Coverage, times: Sequence[int]) -> bool:
    """Tell whether a window had one of the candles of these times, and knew it for whole."""
    had = set(before.times)
    return any(
        each in had and not any(start <= each < end for start, end in missing) for each in times
    )


def _source_of(
    window: Window, timeframe: AnyTimeframe, found: Selection, opened: OpenRow | None
) -> dict[str, str]:
    """Return the header that says how the candles came that were found."""
    if not isinstance(timeframe, Timeframe):
        return {HEADER: DERIVED}
    origins = window.origins.of(window.times[found.first : found.last])
    return source(origins | {opened.origin} if opened else origins)
