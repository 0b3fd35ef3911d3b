"""Candles of a pair as history and cache have them together: what both know, and never more.

The cache wins where both know a bar: it is newer. Bars that neither has as such are made of
shorter ones, where these are complete.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import orjson

from exchanges.models import Exchange
from history import parquet
from history.decoded import Decoded
from history.models import PairHistory
from history.months import Month, months_in
from history.parquet import Row
from history.places.place import configured_place
from history.store.reading import Stretch
from history.store.store import HistoryStore
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval, intersect, missing, union
from livermore.market.derived import AnyTimeframe, derive
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.unconfirmed import settled_empty

FIRST_TRADE_MS = 1_230_768_000_000  # 2009-01-01: there was nothing to trade before Bitcoin
FEWEST_BARS = 1000  # that are looked at together: some may have no row
CACHE, HISTORY = "cache", "history"

Cached = Callable[[Timeframe], Stretch]  # what the cache has of a symbol: all of it


class Found(NamedTuple):
    """Rows, oldest first, of which stretches they are all, and who knows what of these.

    A row has six numbers, or ten (`Candle.row`).
    """

    rows: list[Row]
    covered: Coverage
    of_history: Coverage
    of_cache: Coverage

    def source(self, start_ms: int, end_ms: int) -> str:
        """Return who has what opened in `[start_ms, end_ms)`: "history", "cache+history" …"""
        known = ((CACHE, self.of_cache), (HISTORY, self.of_history))
        stretch = ((start_ms, end_ms),)
        return "+".join(name for name, covered in known if intersect(covered, stretch))


NOTHING = Found([], (), (), ())


def joined(parts: Iterable[Found]) -> Found:
    """Return what was found in stretches apart from each other, in any order."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    rows = [row for part in found for row in part.rows]
    rows.sort(key=lambda row: row[0])
    return Found(
        rows,
        union(each for part in found for each in part.covered),
        union(each for part in found for each in part.of_history),
        union(each for part in found for each in part.of_cache),
    )


def bases_of(timeframe: AnyTimeframe) -> list[Timeframe]:
    """Return of which timeframes that are kept a bar can be had, the one with the fewest first."""
    own = [timeframe] if isinstance(timeframe, Timeframe) else []
    shorter = (each for each in LONGEST_FIRST if each.ms < timeframe.ms)
    return own + [each for each in shorter if timeframe.ms % each.ms == 0]


class Reading:
    """Reads candles of one symbol. `store` is None where there is no history.

    To make longer ones no more than `most_parts` shorter ones are read, None sets no bound: what
    would take more is not known. For one thread, and one request: what the cache has is asked once.
    """

    def __init__(
        self,
        store: HistoryStore | None,
        symbol: str,
        cached: Cached,
        most_parts: int | None = None,
    ):
        self._store = store
        self._symbol = symbol
        self._ask_cache = cached
        self._cached: dict[Timeframe, Stretch] = {}
        self._parts_left = most_parts

    def pages(self, timeframe: AnyTimeframe, start_ms: int, end_ms: int) -> Iterator[Found]:
        """Yield what is known of `[start_ms, end_ms)`, a month at a time, oldest first.

        Months of which nothing is kept come in one. Both ends are where bars of it open.
        """
        for span in self._spans(timeframe, start_ms, end_ms):
            yield self._page(timeframe, *span)

    def read(self, timeframe: AnyTimeframe, start_ms: int, end_ms: int) -> Found:
        """Return all that is known of `[start_ms, end_ms)`."""
        return joined([NOTHING, *self.pages(timeframe, start_ms, end_ms)])

    def oldest(
        self,
        timeframe: AnyTimeframe,
        start_ms: int,
        end_ms: int,
        count: int,
        *,
        over_holes: bool = False,
    ) -> Found:
        """Return what is known from a time on: at least so many rows, but for a hole or the end.

        What lies behind a hole is left out, but `over_holes`; what is more than wanted may be too.
        """
        begin_ms = timeframe.ceil(max(start_ms, FIRST_TRADE_MS))
        found: list[Found] = []
        if start_ms < begin_ms:
            before = ((timeframe.floor(start_ms), begin_ms),)
            found.append(Found([], before, before, ()))
        rows = 0
        for span in self._spans(timeframe, begin_ms, end_ms, count):
            page = self._page(timeframe, *span)
            found.append(page)
            rows += len(page.rows)
            has_hole = bool(missing(page.covered, *span))
            if rows >= count or (has_hole and not over_holes):
                break
        return joined([NOTHING, *found])

    def newest(self, timeframe: AnyTimeframe, end_ms: int, count: int) -> Found:
        """Return what is known before a time: at least so many rows, but for a hole.

        What lies before a hole, or more than is wanted, may be left out.
        """
        found: list[Found] = []
        rows, needed_ms = 0, end_ms - count * timeframe.ms
        begin_ms = timeframe.ceil(FIRST_TRADE_MS)
        for span in reversed(list(self._spans(timeframe, begin_ms, end_ms, count))):
            page = self._page(timeframe, *span)
            found.append(page)
            rows += len(page.rows)
            has_hole = bool(missing(page.covered, *span))
            if rows >= count or (has_hole and span[0] <= needed_ms):
                break
        else:
            found.append(Found([], ((0, begin_ms),), ((0, begin_ms),), ()))
        return joined([NOTHING, *found])

    def held(self, timeframe: AnyTimeframe) -> Interval | None:
        """Return from when to when there may be rows, None where there are none."""
        months = sorted(self._months(timeframe))
        stretches = [month.interval for month in months]
        for base in bases_of(timeframe):
            stretches += self._of_cache(base).covered
        if not stretches:
            return None
        start_ms, end_ms = min(stretches)[0], max(end for _, end in stretches)
        return timeframe.ceil(start_ms), timeframe.floor(end_ms)

    def _spans(
        self, timeframe: AnyTimeframe, start_ms: int, end_ms: int, most_bars: int | None = None
    ) -> Iterator[Interval]:
        """Yield stretches with rows of one month, or of none: those between are one.

        `most_bars`, or a thousand, is how many bars those may be long that have rows.
        """
        if start_ms >= end_ms:
            return
        kept = self._months(timeframe)
        for base in bases_of(timeframe):
            kept |= {month for month, _ in months_in(self._of_cache(base).covered)}
        cuts = {start_ms, end_ms}
        for month in kept:
            cuts |= {each for each in month.interval if start_ms < each < end_ms}
        for span in pairwise(sorted(cuts)):
            bars = max(most_bars or 0, FEWEST_BARS)
            step = timeframe.ms * bars if most_bars else span[1] - span[0]
            if Month.of(span[0]) not in kept:
                step = span[1] - span[0]
            for at in range(span[0], span[1], step):
                yield at, min(at + step, span[1])

    def _months(self, timeframe: AnyTimeframe) -> set[Month]:
        if self._store is None:
            return set()
        return self._store.months(self._symbol, bases_of(timeframe))

    def _page(self, timeframe: AnyTimeframe, start_ms: int, end_ms: int) -> Found:
        found = NOTHING
        for base in bases_of(timeframe):
            left = missing(found.covered, start_ms, end_ms)
            if not left:
                break
            more = [self._of_base(timeframe, base, stretch) for stretch in left]
            found = joined([found, *more])
        return found

    def _of_base(self, timeframe: AnyTimeframe, base: Timeframe, stretch: Interval) -> Found:
        """Return bars of a timeframe that shorter ones make up in a stretch, or that are kept."""
        if base == timeframe:
            return self._both(base, *stretch)
        if not self._may_read((stretch[1] - stretch[0]) // base.ms):
            return NOTHING
        parts = self._both(base, *stretch)
        rows, covered = derive(parts.rows, parts.covered, timeframe)
        of_history, of_cache = (
            intersect(union((timeframe.floor(a), timeframe.ceil(b)) for a, b in known), covered)
            for known in (parts.of_history, parts.of_cache)
        )
        return Found(rows, covered, of_history, of_cache)

    def _may_read(self, parts: int) -> bool:
        if self._parts_left is None:
            return True
        self._parts_left -= parts
        return self._parts_left >= 0

    def _both(self, base: Timeframe, start_ms: int, end_ms: int) -> Found:
        newer = self._of_cache(base)
        known = intersect(newer.covered, ((start_ms, end_ms),))
        rows = [row for row in newer.rows if any(a <= row[0] < b for a, b in known)]
        found = [Found(rows, known, (), known)]
        for stretch in missing(known, start_ms, end_ms) if self._store else ():
            older = self._store.read(Pair(self._symbol, base), *stretch)  # type: ignore[union-attr]
            found.append(Found(older.rows, older.covered, older.covered, ()))
        return joined(found)

    def _of_cache(self, base: Timeframe) -> Stretch:
        if base not in self._cached:
            self._cached[base] = self._ask_cache(base)
        return self._cached[base]


def open_store(exchange: Exchange, decoded: Decoded | None = None) -> HistoryStore | None:
    """Return the history of an exchange, None where none was ever kept.

    Raises Misconfigured where it can't be read for want of pyarrow, Temporary where its place is
    away.
    """
    if not PairHistory.objects.filter(exchange=exchange).exists():
        return None
    parquet.library()
    return HistoryStore(configured_place(), exchange, decoded)


def cached_in(cache: CandleCache, symbol: str, lag_ms: int) -> Cached:
    """Return what reads all that a cache has of a symbol.

    Where something in it is no candle nothing is known of the pair: what it stood for is missing.
    `lag_ms` is how late the exchange may be with a bar that it told to be empty.
    """

    def read(timeframe: Timeframe) -> Stretch:
        pair = Pair(symbol, timeframe)
        empty = settled_empty(cache.unconfirmed().get(pair, ()), timeframe, lag_ms)
        ((_, members, coverage),) = cache.windows([pair])
        try:
            found = [Candle.of_values(orjson.loads(each), timeframe).row() for each in members]
        except (ValueError, TypeError):
            return Stretch([], ())
        return Stretch(found, union([*coverage, *empty]) if found else ())

    return read
