"""What is answered about candles: from the cache where that is complete, else fetched first."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from livermore.market.candle import EARLIEST_MS
from livermore.market.coverage import Coverage, Interval, union
from livermore.market.coverage import missing as missing_in
from livermore.market.derived import AnyTimeframe, base_of, join
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.clocks import Clocks
from serving.candles.history import History, Joined
from serving.candles.selection import (
    GRACE_MS,
    Selection,
    Wanted,
    is_awaited,
    needed_of,
    select,
    select_known,
)
from serving.candles.unavailable import Unavailable
from serving.candles.views import view
from serving.candles.waiting import Waits
from serving.candles.windows import Window, Windows
from serving.counting.asked import held
from serving.directory import ServedExchange
from serving.fetching.failures import Failure
from serving.fetching.fetches import Fetches, Outcome
from serving.fetching.opened import LONGEST_OPEN_SECONDS, OpenBar, OpenCandle
from serving.fetching.stretches import Told
from serving.memory.stored import StoredRows
from serving.reading import CacheReader
from serving.standing.cache_status import PARTIAL, cache_status
from serving.standing.origins import HEADER, REST, STREAM, source
from warmup.cache.candles import CANDLES_KEPT

Found = TypeVar("Found")

NOTHING = Told([], [], ())
NOT_TOLD = Failure("the exchange did not tell them")
UNREADABLE = Failure("what is stored there is no candle; repair takes it out")
TOO_FEW = Failure(
    "so few bars have one that as many can't be looked for at once: ask for fewer, for a longer "
    "interval, or up to an end that is nearer"
)
NEWEST_CLOSE = "X-Livermore-Newest-Close"
LONGEST_FETCH_SECONDS = 10.0
# Of older bars, where many have no candle: how many are asked for at a time, and how often.
FEWEST_TOGETHER, MOST_STRETCHES = 300, 10
# Who waits for a bar may ask that long before it ends, and for so long at the most.
EARLY_MS, LONGEST_WAIT_MS = 1000, 60_000
MOST_BEHIND_MS = 60_000  # a candle that is further ahead than that says nothing of the time
SECONDS_BETWEEN_LOOKS = 0.02
NEWEST_BARS = 3  # which history can't have yet where the cache does not
MOST_SELECTED = 100  # of one window
MOST_LOOKS = 3  # for an answer whose open candle has not ended meanwhile


class OlderThanKept(Exception):
    """What is `missing` is older than the cache keeps."""

    def __init__(self, missing: Coverage):
        super().__init__("older than the cache keeps")
        self.missing = missing


@dataclass(slots=True)
class CandleAnswer:
    """Closed candles `[first, last)` of a window, the open one's row, and what it stands on.

    They are all there were at `now_ms`, but for a bar that had ended just then.
    """

    window: Window
    first: int
    last: int
    open_row: list[Any] | None
    headers: dict[str, str]
    now_ms: int
    missing: Coverage = ()  # nothing but where it was asked for what there is
    until_ms: int | None = None  # up to when it was looked for them, where that isn't the end


class OpenRow(NamedTuple):
    """The open candle as it is stored; whether something of it was there, and was fetched.

    `origin` is who told it.
    """

    row: list[Any]
    kept: bool
    fetched: bool
    origin: str


class WithHistory(NamedTuple):
    """What history and the cache have together, what of it answers, and what was fetched first."""

    joined: Joined
    found: Selection
    fetched: Coverage


class Answers:
    """Answers requests for candles of all exchanges. Any number of tasks may ask."""

    def __init__(
        self,
        windows: Windows,
        clocks: Clocks,
        fetches: Fetches,
        reader: CacheReader,
        history: History | None = None,
    ):
        """`history` is asked for what the cache lacks, before the exchange is."""
        self._history = history
        self._windows = windows
        self._reader = reader
        self._fetches = fetches
        self._clocks = clocks
        self._waits = Waits()
        self._ending = False

    async def now_ms(self, exchange: ServedExchange) -> int:
        """Return the exchange's time. Raises Unavailable where it can't be read yet."""
        if not self._clocks.knows(exchange.exchange_id):
            await self._reader.read(self._clocks.read, exchange.exchange_id)
        return self._clocks.now_ms(exchange.exchange_id)

    async def told_ms(self, exchange: ServedExchange) -> int | None:
        """Return the exchange's time, None where no runner has told it. Raises Unavailable."""
        now_ms = await self.now_ms(exchange)
        return now_ms if self._clocks.is_told(exchange.exchange_id) else None

    async def time_of(self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe) -> int:
        """Return the exchange's time, at least the end of a pair's newest close, in ms.

        Raises Unavailable.
        """
        base = base_of(timeframe)
        now_ms = await self.now_ms(exchange)
        return _by_closes(now_ms, await self._window(exchange, Pair(symbol, base)), base)

    async def is_streamed(self, exchange: ServedExchange) -> bool:
        """Tell whether a runner streams it now. Raises Unavailable."""
        await self.now_ms(exchange)
        return self.is_streamed_now(exchange)

    def is_streamed_now(self, exchange: ServedExchange) -> bool:
        """Tell that at once of one that was asked for before."""
        return self._clocks.is_streamed(exchange.exchange_id)

    async def wait(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wait_ms: int
    ) -> None:
        """Return once the bar is known that ends now, or after so long. Raises Unavailable.

        It is the one that has ended last, or that ends within a second.
        """
        pair = Pair(symbol, base_of(timeframe))
        ends_ms = pair.timeframe.floor(await self.now_ms(exchange) + EARLY_MS)
        seconds = min(wait_ms, LONGEST_WAIT_MS) / 1000

        async def look() -> None:
            while not self._ending:
                window = await self._window(exchange, pair)
                if not missing_in(window.coverage, ends_ms - pair.timeframe.ms, ends_ms):
                    return
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

        with held():
            await self._waits.wait((exchange.exchange_id, pair, ends_ms), look, seconds)

    def end(self) -> None:
        """Hold no answer any longer: the server ends."""
        self._ending = True

    async def candles(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> CandleAnswer:
        """Return the candles that a request wants, all of them, the open one only while it is open.

        Raises Unavailable, and OlderThanKept: `older` has those.
        """
        for _ in range(MOST_LOOKS):
            answer = await self._candles(exchange, symbol, timeframe, wanted)
            if answer.open_row is None:
                return answer
            if timeframe.floor(await self.now_ms(exchange)) <= timeframe.floor(answer.now_ms):
                return answer
        which = f"{exchange.name} {symbol} {timeframe}"
        raise Unavailable(f"{which}: each open candle had ended before it could be told")

    async def _candles(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> CandleAnswer:
        asked_at, open_bar = time.time(), None
        window, found, now_ms = await self._select(exchange, symbol, timeframe, wanted)
        before, missing, told = window, found.missing, None
        if missing:
            told = await self._with_history(exchange, symbol, timeframe, wanted, found, now_ms)
        if told:
            window, found, missing = told.joined.window, told.found, told.fetched
        elif missing:
            if missing[0][0] < _kept_from_ms(timeframe, now_ms):
                raise OlderThanKept(missing)
            if found.takes_open:
                ended = await self._missing_of_open(exchange, symbol, timeframe, now_ms)
                found = found._replace(missing=union([*missing, *ended]))
            window, found, now_ms, open_bar = await self._fetched(
                exchange, symbol, timeframe, wanted, found
            )
            if open_bar and open_bar.told_at < asked_at:
                open_bar = None  # it may be too old by now: if not, it is kept
        opened, kept, fetched = None, False, bool(missing)
        if found.takes_open:
            opened = await self._open_row(exchange, symbol, timeframe, now_ms, open_bar)
            if opened is None:
                found = _without_open(window, timeframe, wanted, now_ms, found)
                if found.first == found.last:
                    which = f"{exchange.name} {symbol} {timeframe}"
                    raise Unavailable(f"{which}: no open candle is known")
            else:
                kept, fetched = opened.kept, fetched or opened.fetched
        if fetched and not kept:  # else that is known already
            kept = _had_some(before, missing, window.times[found.first : found.last])
        headers = _headers(before if told and before.times else window, timeframe, now_ms)
        headers["Cache-Status"] = cache_status(kept=kept, fetched=fetched)
        if told:
            needed = needed_of(window.times, timeframe, wanted, found, now_ms)
            headers[HEADER] = told.joined.source(needed, with_open=opened is not None)
        elif isinstance(timeframe, Timeframe):
            origins = window.origins.of(window.times[found.first : found.last])
            if opened:
                origins.add(opened.origin)
            headers |= source(origins | ({REST} if missing else set()))
        else:
            headers[HEADER] = "derived"
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
        pair, until_ms = Pair(symbol, base_of(timeframe)), _until(timeframe, wanted, now_ms)
        newest_ms = timeframe.floor(now_ms) - NEWEST_BARS * timeframe.ms
        fetched: Coverage = ()
        while self._history and found.missing[0][0] < newest_ms:
            kept = await self._window(exchange, pair)
            joined = await self._history.wanted(exchange, symbol, timeframe, wanted, until_ms, kept)
            if joined is None:
                return None
            window = joined.window
            found = select(window.times, window.coverage, timeframe, wanted, now_ms)
            if not found.missing:
                return WithHistory(joined, found, fetched)
            if fetched or found.missing[0][0] < _kept_from_ms(timeframe, now_ms):
                return None
            fetched = found.missing
            await _in_time(self._fetches.fetch(exchange, pair, fetched))
            await self._reader.read(self._windows.read, exchange, pair)
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
        outcome = await _in_time(self._fetches.fetch(exchange, pair, found.missing))
        failure, open_bar = outcome if isinstance(outcome, Outcome) else (outcome, None)
        # That it has changed may not have been told yet.
        await self._reader.read(self._windows.read, exchange, pair)
        window, found, now_ms = await self._select(exchange, symbol, timeframe, wanted)
        if found.missing:
            failure = failure or (NOT_TOLD if window.is_readable else UNREADABLE)
            self._fetches.note_in_vain(exchange, pair, found.missing, failure)
            raise _unavailable(exchange, symbol, timeframe, found.missing, failure)
        return window, found, now_ms, open_bar

    async def older(
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
        now_ms = await self.now_ms(exchange)
        start_ms, end_ms = _stretch(timeframe, wanted, now_ms)
        first_ms = max(start_ms, timeframe.ceil(EARLIEST_MS))
        told: Told | Failure = NOTHING
        if first_ms < end_ms:
            told = await _in_time(self._fetches.stretches.pass_on(exchange, pair, first_ms, end_ms))
        if is_filled and wanted.start_ms is not None and isinstance(told, Told):
            until_ms = _until(timeframe, wanted, now_ms)
            filling = self._filled(exchange, pair, timeframe, wanted, told, end_ms, until_ms)
            told = await _in_time(filling)
            end_ms = until_ms
        if isinstance(told, Failure):
            raise _unavailable(exchange, symbol, timeframe, missing, told)
        rows, known = StoredRows.of(told.rows), told.coverage
        if start_ms < first_ms:  # there was no exchange yet
            known = union([*known, (start_ms, first_ms)])
        window = view(Window(told.times, rows, known), timeframe)
        within = wanted._replace(end_ms=end_ms - 1)
        found = select(window.times, window.coverage, timeframe, within, now_ms)
        if found.missing:
            raise _unavailable(exchange, symbol, timeframe, found.missing, NOT_TOLD)
        kept = view(await self._window(exchange, pair), timeframe)
        headers = _headers(kept if kept.times else window, timeframe, now_ms)
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
                begin_ms = await self._fetches.stretches.first_traded(
                    exchange, pair.symbol, end_ms, until_ms
                )
                if isinstance(begin_ms, Failure):
                    return begin_ms
                told = told.followed_by(Told([], [], union([(end_ms, begin_ms)])))
                end_ms = begin_ms
            # Twice as many as are lacking, and no more: the newest may not be proven yet.
            count = max(2 * (wanted.limit - bars), FEWEST_TOGETHER)
            start_ms, end_ms = end_ms, min(end_ms + count * timeframe.ms, until_ms)
            more = await self._fetches.stretches.pass_on(exchange, pair, start_ms, end_ms)
            if isinstance(more, Failure):
                return more
            told = told.followed_by(more)
        return TOO_FEW

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
        now_ms = await self.time_of(exchange, symbol, timeframe)
        kept = await self._window(exchange, Pair(symbol, base_of(timeframe)))
        window = view(kept, timeframe)
        awaited_ms = timeframe.ms if is_awaited(window.coverage, timeframe, now_ms) else 0
        stretch = _stretch(timeframe, wanted, now_ms - awaited_ms)
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
            opened = await self._open_row(exchange, symbol, timeframe, now_ms)
        headers = _headers(newest if newest.times else window, timeframe, now_ms)
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

    async def _select(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, wanted: Wanted
    ) -> tuple[Window, Selection, int]:
        """Return a pair's window, what of it is wanted, and the time at which that was so."""
        await self.now_ms(exchange)  # and whether it is streamed: what is known hangs on that
        kept = await self._window(exchange, Pair(symbol, base_of(timeframe)))
        window, now_ms = view(kept, timeframe), await self.now_ms(exchange)
        now_ms = _by_closes(now_ms, kept, base_of(timeframe))
        return window, _selected(window, timeframe, wanted, now_ms), now_ms

    async def window(self, exchange: ServedExchange, pair: Pair) -> Window:
        """Return a pair's candles and when all are known, as the cache has them now.

        Raises Unavailable.
        """
        await self.now_ms(exchange)  # and whether it is streamed: what is known hangs on that
        return await self._window(exchange, pair)

    async def _window(self, exchange: ServedExchange, pair: Pair) -> Window:
        window = self._windows.kept(exchange.exchange_id, pair)
        if window is None:
            window = await self._reader.read(self._windows.current, exchange, pair)
        return window

    async def _open_row(
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
        window = await self._window(exchange, pair)
        missing = missing_in(window.coverage, opened, open_ms)
        if missing and not is_awaited(window.coverage, pair.timeframe, now_ms):
            window = await self._fetched_for_open(exchange, pair, missing)
            was_kept = False
        if missing_in(window.coverage, opened, open_ms):
            return None
        first, last = (bisect_left(window.times, each) for each in (opened, candle.timestamp))
        row = join([*window.rows[first:last], candle.row()], opened)
        return OpenRow(row, was_kept or first < last, not was_kept, origin)

    async def _missing_of_open(
        self, exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, now_ms: int
    ) -> Coverage:
        """Return what isn't known of the bars that have ended of an open candle made of them."""
        base = base_of(timeframe)
        kept = await self._window(exchange, Pair(symbol, base))
        if is_awaited(kept.coverage, base, now_ms):
            return ()
        return missing_in(kept.coverage, timeframe.floor(now_ms), base.floor(now_ms))

    async def _fetched_for_open(
        self, exchange: ServedExchange, pair: Pair, missing: Coverage
    ) -> Window:
        """Have the bars fetched that have ended of an open candle which is made of them."""
        fetching = self._fetches.fetch(exchange, pair, missing)
        outcome = await _in_time(fetching, LONGEST_OPEN_SECONDS)
        failure = outcome.failure if isinstance(outcome, Outcome) else outcome
        window = await self._reader.read(self._windows.read, exchange, pair)
        if left := missing_in(window.coverage, missing[0][0], missing[-1][1]):
            self._fetches.note_in_vain(exchange, pair, left, failure or NOT_TOLD)
        return window

    async def _open_candle(
        self, exchange: ServedExchange, pair: Pair, open_ms: int, open_bar: OpenBar | None
    ) -> tuple[OpenCandle, str]:
        """Return the candle open since a time, and who told it: the exchange where no stream has.

        None has at the beginning of a bar, and after that of a stream, until there is a trade.
        """
        number, listed = exchange.exchange_id, exchange.symbols[pair.symbol]
        is_streamed = listed.is_monitored and self._clocks.is_streamed(number)
        if is_streamed:
            was_read, candle = self._windows.kept_live(number, pair)
            if not was_read:
                candle = await self._reader.read(self._windows.read_live, number, pair)
            if candle and candle.timestamp >= open_ms:
                return OpenCandle(candle, was_kept=True), STREAM
        if open_bar and open_bar.open_ms == open_ms:
            return OpenCandle(open_bar.candle, was_kept=False), REST
        return await self._fetches.open_candles.get(exchange, pair, open_ms, is_streamed), REST


def _by_closes(now_ms: int, window: Window, timeframe: Timeframe) -> int:
    """Return a time that is not before the end of a bar that is known to have closed.

    What its runner tells of the exchange's time is as old as the message that told it.
    """
    ends_ms = window.times[-1] + timeframe.ms if window.times else 0
    return max(now_ms, ends_ms) if ends_ms - now_ms < MOST_BEHIND_MS else now_ms


def _selected(window: Window, timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> Selection:
    """Return what of a window is wanted: many ask for the same, which is looked for once."""
    open_ms = timeframe.floor(now_ms)
    which = wanted, open_ms, now_ms < open_ms + GRACE_MS  # all that is asked of the time
    found = window.selected.get(which)
    if found is None:
        if len(window.selected) >= MOST_SELECTED:
            window.selected.clear()
        found = select(window.times, window.coverage, timeframe, wanted, now_ms)
        window.selected[which] = found
    return found


def _without_open(
    window: Window, timeframe: AnyTimeframe, wanted: Wanted, now_ms: int, found: Selection
) -> Selection:
    """Return what answers a request where the open candle isn't known: one more, if that is."""
    more = select(window.times, window.coverage, timeframe, wanted, now_ms, has_open=False)
    return found if more.missing else more


def _had_some(before: Window, missing: Coverage, times: Sequence[int]) -> bool:
    """Tell whether a window had one of the candles of these times, and knew it for whole."""
    had = set(before.times)
    return any(
        each in had and not any(start <= each < end for start, end in missing) for each in times
    )


def _headers(window: Window, timeframe: AnyTimeframe, now_ms: int) -> dict[str, str]:
    """Return what is said of the closed candles of a window."""
    headers = {"X-Livermore-Complete": "1"}
    if window.times:
        newest_ms = window.times[-1] + timeframe.ms
        headers[NEWEST_CLOSE] = str(newest_ms)
        headers["Age"] = str(max(0, (now_ms - newest_ms) // 1000))
    return headers


def _source_of(
    window: Window, timeframe: AnyTimeframe, found: Selection, opened: OpenRow | None
) -> dict[str, str]:
    """Return the header that says how the candles came that were found."""
    if not isinstance(timeframe, Timeframe):
        return {HEADER: "derived"}
    origins = window.origins.of(window.times[found.first : found.last])
    return source(origins | {opened.origin} if opened else origins)


def _until(timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> int:
    """Return where the last of the closed bars ends that a request may want."""
    until_ms = timeframe.floor(now_ms)
    if wanted.end_ms is not None:
        until_ms = min(timeframe.floor(wanted.end_ms) + timeframe.ms, until_ms)
    return until_ms


def _stretch(timeframe: AnyTimeframe, wanted: Wanted, now_ms: int) -> Interval:
    """Return where the closed bars lie that a request may want, if each has a candle."""
    until_ms = _until(timeframe, wanted, now_ms)
    length_ms = wanted.limit * timeframe.ms
    if wanted.start_ms is None:
        return until_ms - length_ms, until_ms
    start_ms = timeframe.ceil(wanted.start_ms)
    return start_ms, min(start_ms + length_ms, until_ms)


def _kept_from_ms(timeframe: AnyTimeframe, now_ms: int) -> int:
    """Return from when on the cache can hold what a timeframe is made of."""
    base = base_of(timeframe)
    return base.floor(now_ms) - CANDLES_KEPT * base.ms


async def _in_time(
    fetching: Awaitable[Found], seconds: float = LONGEST_FETCH_SECONDS
) -> Found | Failure:
    try:
        async with asyncio.timeout(seconds):
            return await fetching
    except TimeoutError:
        return Failure(f"that takes longer than {seconds:.0f} s")


def _unavailable(
    exchange: ServedExchange,
    symbol: str,
    timeframe: AnyTimeframe,
    missing: Coverage,
    failure: Failure,
) -> Unavailable:
    start_ms, end_ms = missing[0][0], missing[-1][1]
    why, seconds = failure
    return Unavailable(
        f"{exchange.name} {symbol} {timeframe}: candles from {_utc(start_ms)} to {_utc(end_ms)} "
        f"are not known yet: {why}",
        seconds,
        missing,
    )


def _utc(time_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms / 1000))
