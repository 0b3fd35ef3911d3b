"""What Redis and files of history have of a pair together: the first wins, it is newer. Pure."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from livermore_reader.candles import TEN
from livermore_reader.columns import Columns, united
from livermore_reader.derived import derive
from livermore_reader.sources.files.months import HistoryFiles, Month
from livermore_reader.sources.redis.pair import Pair
from livermore_reader.stretches import Stretches, both, missing, union
from livermore_reader.times import KEPT, length_ms

FIRST_TRADE_MS = 1_230_768_000_000  # 2009-01-01: there was nothing to trade before Bitcoin
MORE_BARS = 2  # the newest may be awaited
FEWEST_BARS = 1000  # that are looked at together: some may have no row
CACHE, HISTORY = "cache", "history"


class Joined(NamedTuple):
    """Candles of ten columns, ascending, when all are known, and who knows what of that."""

    rows: "Columns | tuple[()]"
    known: Stretches
    of_history: Stretches
    of_cache: Stretches

    def source(self, start_ms: int, end_ms: int) -> str:
        """Return who has what of a stretch: "history", "cache+history" and so on."""
        parts = ((CACHE, self.of_cache), (HISTORY, self.of_history))
        return "+".join(name for name, known in parts if both(known, ((start_ms, end_ms),)))


class Joining:
    """Joins what is asked of one symbol: the first `width` columns of it.

    `kept` is what Redis has of it in the timeframe `base`. For one question.
    """

    def __init__(
        self,
        files: HistoryFiles,
        which: tuple[str, str],
        base: str,
        kept: Pair,
        width: int = len(TEN),
    ):
        """`which` are an exchange and a symbol."""
        self._files = files
        self._which = which
        self._base = base
        self._width = width
        self._months: dict[str, list[Month]] = {}  # of each timeframe, as they were once
        try:
            self._rows, self._known = Columns.of(kept.rows), kept.known
        except (TypeError, ValueError, OverflowError):  # what is no candle, nobody knows
            self._rows, self._known = Columns.of(()), ()

    def oldest(self, timeframe: str, start_ms: int, end_ms: int, count: "int | None") -> Joined:
        """Return what is known from a time on: so many rows, but for a hole or the end."""
        step = length_ms(timeframe)
        begin_ms = _ceil(max(start_ms, FIRST_TRADE_MS), step)
        found, rows = [], 0
        if start_ms < begin_ms:
            before = ((start_ms - start_ms % step, begin_ms),)
            found.append(Joined((), before, before, ()))
        for span in self._spans(timeframe, begin_ms, end_ms, count):
            found.append(self._page(timeframe, *span))
            rows += len(found[-1].rows)
            is_holed = bool(missing(found[-1].known, *span))
            is_far = count is not None and span[1] >= _ceil(start_ms, step) + count * step
            if count is not None and (rows >= count or (is_holed and is_far)):
                break
        return _united(found)

    def newest(self, timeframe: str, end_ms: int, count: int) -> Joined:
        """Return what is known before a time: so many rows, but for a hole."""
        step, more = length_ms(timeframe), count + MORE_BARS
        begin_ms = _ceil(FIRST_TRADE_MS, step)
        spans = list(self._spans(timeframe, begin_ms, end_ms, more))
        found, rows = [], 0
        for span in reversed(spans):
            found.append(self._page(timeframe, *span))
            rows += len(found[-1].rows)
            is_holed = bool(missing(found[-1].known, *span))
            if rows >= more or (is_holed and span[0] <= end_ms - more * step):
                break
        else:
            before = ((0, begin_ms),)
            found.append(Joined((), before, before, ()))
        return _united(found)

    def _spans(
        self, timeframe: str, start_ms: int, end_ms: int, most_bars: "int | None"
    ) -> Iterator[tuple[int, int]]:
        """Yield stretches with files or without; of those so many bars at the most."""
        if start_ms >= end_ms:
            return
        months = [
            (month.start_ms, month.end_ms)
            for base in _bases(timeframe)
            for month in self._months_of(base)
        ]
        held = union([*months, *self._known])
        cuts = {each for stretch in [*held, *months] for each in stretch}
        step = length_ms(timeframe)
        cuts = {each - each % step for each in cuts}
        ends = sorted({start_ms, end_ms, *(each for each in cuts if start_ms < each < end_ms)})
        for since, until in pairwise(ends):
            longest = until - since
            if most_bars is not None and both(held, ((since, until),)):
                longest = max(most_bars, FEWEST_BARS) * step
            for at in range(since, until, longest):
                yield at, min(at + longest, until)

    def _page(self, timeframe: str, start_ms: int, end_ms: int) -> Joined:
        found = Joined((), (), (), ())
        for base in _bases(timeframe):
            left = missing(found.known, start_ms, end_ms)
            if not left:
                break
            found = _united([found, *(self._of_base(timeframe, base, *each) for each in left)])
        return found

    def _of_base(self, timeframe: str, base: str, start_ms: int, end_ms: int) -> Joined:
        if base == timeframe:
            return self._of_both(base, start_ms, end_ms, self._width)
        parts = self._of_both(base, start_ms, end_ms, len(TEN))
        step = length_ms(timeframe)
        rows, known = derive(parts.rows, parts.known, timeframe)
        of_history, of_cache = (
            both(union((a - a % step, _ceil(b, step)) for a, b in each), known)
            for each in (parts.of_history, parts.of_cache)
        )
        return Joined(Columns.of(rows).narrowed(self._width), known, of_history, of_cache)

    def _of_both(self, base: str, start_ms: int, end_ms: int, width: int) -> Joined:
        kept = self._known if base == self._base else ()
        known = both(kept, ((start_ms, end_ms),))
        rows = self._rows.narrowed(width)
        found = [Joined(rows.between(*each), (each,), (), (each,)) for each in known]
        pair = dict(zip(("exchange", "symbol", "timeframe"), (*self._which, base), strict=True))
        for stretch in missing(known, start_ms, end_ms):
            older = self._files.read(pair, self._months_of(base), width, stretch)
            found.append(Joined(older.rows, older.known, older.known, ()))
        return _united(found)

    def _months_of(self, timeframe: str) -> list[Month]:
        if timeframe not in self._months:
            self._months[timeframe] = self._files.months(*self._which, timeframe)
        return self._months[timeframe]


def _bases(timeframe: str) -> list[str]:
    """Return of which timeframes a bar can be had, the one with the fewest first."""
    step = length_ms(timeframe)
    lengths = {name: length_ms(name) for name in KEPT}
    fitting = [name for name, each in lengths.items() if each <= step and step % each == 0]
    return sorted(fitting, key=lengths.__getitem__, reverse=True)


def _united(parts: Iterable[Joined]) -> Joined:
    found = list(parts)
    return Joined(
        united(part.rows for part in found if part.rows),
        union(each for part in found for each in part.known),
        union(each for part in found for each in part.of_history),
        union(each for part in found for each in part.of_cache),
    )


def _ceil(time_ms: int, step: int) -> int:
    return -(-time_ms // step) * step
