"""From the rows of an exchange's answer to candles that can be trusted, and what they prove."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from math import isfinite
from operator import ge
from typing import Any, NamedTuple

from exchanges.errors import clip, shape_of
from livermore.market.candle import Candle
from livermore.market.columns import Columns
from livermore.market.coverage import Coverage, Interval, missing, span, subtract, union
from livermore.market.timeframe import Timeframe

FIELDS = ("start", "open", "high", "low", "close", "volume")  # that a row may name
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
DIGITS = re.compile("[0-9]+")
MOST_SHOWN, LARGEST_SHOWN = 12, 10**20
NO_CANDLE = (ValueError, TypeError, LookupError, OverflowError)  # what a row raises that is none
LONGEST_NUMBER, LARGEST_WHOLE = 40, 2**53
Row = Any
# Open to volume, then whose, and the columns that were told beside them (`read_columns`).
Values = tuple[float, float, float, float, float, Timeframe, Columns | None]


class QuietBars(Enum):
    """What an exchange's answers do with a period in which nothing was traded."""

    FILLS = "fills"  # there is a row of it all the same: one that is not there is missing
    OMITS = "omits"  # there is none


class Refusal(NamedTuple):
    """A stretch, half-open, of which a row came that was no usable candle, and why it was none."""

    start_ms: int
    end_ms: int
    reason: str


class Candles(list[Candle]):
    """Closed candles of one pair, oldest first, and what else the answer said.

    `asked` is the closed part of what was asked for, without what is `too_old`: that the exchange
    tells of no more, so that nobody can ever know by it whether it is empty. `covered` are the
    stretches of it of which these candles are proven to be all that the exchange has; of the rest
    nothing is known yet.
    `young` is a candle after these that may still grow, as no later one was told with it: it is
    not among them. `open_candle` is the bar that was still open, None if the answer held none;
    `open_ms` is when that bar began, None where nobody knows of it whether there is a candle.
    `asked_at` is in monotonic seconds, before they were asked for.
    `refused` has a line for each row that was no usable candle, `refusals` what of `asked` such
    rows leave open.
    `anchored`: it has the rows beside the stretch that are known to exist; `contradicts`: it lacks
    one of them. `is_bare`: not one row of it was usable. `runs_ahead`: a row opened later than it
    is now.
    """

    def __init__(self, candles: Iterable[Candle] = ()):
        super().__init__(candles)
        self.asked: Coverage = ()
        self.too_old: Coverage = ()
        self.covered: Coverage = ()
        self.young: Candle | None = None
        self.open_candle: Candle | None = None
        self.open_ms: int | None = None
        self.asked_at = 0.0
        self.refused: list[str] = []
        self.refusals: list[Refusal] = []
        self.anchored = False
        self.contradicts = False
        self.is_bare = False
        self.runs_ahead = False

    @property
    def leaves_open(self) -> bool:
        """Return whether bars that were asked for have no candle, for whatever reason."""
        length = self[0].timeframe.ms if self else 0
        return bool(self.refusals) or span(self.asked) > len(self) * length

    @property
    def quiet(self) -> Coverage:
        """Return the covered stretches that hold no candle."""
        return subtract(self.covered, ((each.timestamp, each.close_time_ms) for each in self))

    @property
    def empty(self) -> Coverage:
        """Return the stretches told without a row, which this answer alone does not prove."""
        told = [*self.covered, *((start, end) for start, end, _ in self.refusals)]
        if self.young:
            told.append((self.young.timestamp, self.young.close_time_ms))
        return subtract(self.asked, told)


class CandleReply:
    """Collects the rows of one or more pages of an answer, oldest first within a page.

    Those of an exchange that tells the `newest_first` are turned round before all else.

    Rows that cannot be candles, lie outside of what was asked for, come twice or out of order are
    refused and counted. Such a row leaves its own bar uncovered; one that doesn't tell which that
    is leaves all uncovered that lies between its neighbours, or where no bar has room there,
    between any of the page's rows: it stands elsewhere than its bar.

    What a page proves: where quiet bars are filled, the bars of its rows; where they are left out,
    all from its first row to its last. The last row itself, which a later page may repeat with
    rows after it, only if it ended `lag_ms` ago.
    """

    def __init__(
        self,
        timeframe: Timeframe,
        open_time: Callable[[Row], int],
        values: Callable[[Row, Timeframe], Values],
        quiet_bars: QuietBars,
        lag_ms: int,
        *,
        newest_first: bool = False,
    ):
        self._timeframe = timeframe
        self._open_time = open_time
        self._values = values
        self._quiet_bars = quiet_bars
        self._lag_ms = lag_ms
        self._step = -1 if newest_first else 1
        self._candles: dict[int, Candle] = {}
        self._pages: list[list[int]] = []  # the times of their usable rows
        self._proven: list[Interval] = []
        self._refused: list[Refusal] = []  # a line each, and where the row stood
        self._refusals: list[Refusal] = []
        self._anchored = False
        self._contradicting: dict[int, bool] = {}  # by where a page begins: it lacks a known row
        self._reach_ms = 0  # up to where rows were asked for

    def times(self) -> list[int]:
        """Return the open times of the usable rows so far, ascending."""
        return sorted(self._candles)

    def add_page(
        self, rows: Iterable[Row], start_ms: int, last_ms: int, known: Collection[int] = ()
    ) -> bool:
        """Take the rows of a page, in the exchange's order, that open in `[start_ms, last_ms]`.

        `known` are open times of rows that exist there. Return whether the page has them: one that
        lacks any proves no quiet bar, and before the first row of one that has them there is none.
        """
        rows = list(rows)[:: self._step]
        self._reach_ms = max(self._reach_ms, last_ms)
        page = self._read_together(rows, start_ms, last_ms)
        if page is None:
            page = self._read_singly(rows, start_ms, last_ms)
        return self._take_page(page, start_ms, known)

    def _read_together(
        self, rows: Sequence[Row], start_ms: int, last_ms: int
    ) -> dict[int, Candle] | None:
        """Return the candles of rows that all are such, in order; None where one is not."""
        open_time, values, timeframe = self._open_time, self._values, self._timeframe
        try:
            candles = [Candle(open_time(row), *values(row, timeframe)) for row in rows]
        except NO_CANDLE:
            return None
        times = [candle.timestamp for candle in candles]
        if times and (times[0] < start_ms or times[-1] > last_ms):
            return None
        if any(map(ge, times, times[1:])):
            return None
        return dict(zip(times, candles, strict=True))

    def _read_singly(self, rows: Sequence[Row], start_ms: int, last_ms: int) -> dict[int, Candle]:
        """Return the candles of those rows that are such, and refuse the others."""
        page: dict[int, Candle] = {}
        length = self._timeframe.ms
        end_ms = self._timeframe.floor(last_ms) + length
        known_until, unplaced = start_ms, ""  # why a row after `known_until` has no place
        misplaced = ""
        for row in rows:
            try:
                time, candle = self._read(row, start_ms, last_ms)
            except NO_CANDLE as error:
                unplaced = self._refuse(row, str(error), start_ms, end_ms)
                continue
            if isinstance(candle, str):
                self._refuse_bar(time, row, candle)
            elif time < known_until:
                self._refuse_again(candle, page.get(time))
            else:
                if unplaced and known_until < time:
                    self._refusals.append(Refusal(known_until, time, unplaced))
                elif unplaced:
                    misplaced = unplaced
                unplaced = ""
                page[time] = candle
                known_until = time + length
        if unplaced and known_until < end_ms:
            self._refusals.append(Refusal(known_until, end_ms, unplaced))
        if misplaced and page:
            bars = union((each, each + length) for each in page)
            gaps = missing(bars, start_ms, max(page))
            self._refusals += [Refusal(*gap, misplaced) for gap in gaps]
        return page

    def _take_page(self, page: dict[int, Candle], start_ms: int, known: Collection[int]) -> bool:
        times, length = list(page), self._timeframe.ms
        contradicts = self._contradicting[start_ms] = not page.keys() >= set(known)
        if self._candles:
            # The last row may have grown since, or on another server: of two that differ it yields.
            page = page | self._candles | {time: page[time] for time in times[:-1]}
        self._candles = page
        if contradicts:
            self._proven += _bars(times[:-1], length)
            times = times[-1:]
        elif known:
            self._anchored = True
            self._proven.append((start_ms, times[0]))
        self._pages.append(times)
        return not contradicts

    def result(self, start_ms: int, end_ms: int, now_ms: int) -> Candles:
        """Return the candles that opened in `[start_ms, end_ms)`, all of them closed.

        The open one is the newest that opened in the bar of `now_ms` or later.
        """
        current_ms = self._timeframe.floor(now_ms)
        times = self.times()
        runs_ahead = bool(times) and times[-1] > now_ms
        for time in times[bisect_right(times, now_ms + self._timeframe.ms) :]:
            self._refuse(self._candles.pop(time), "opens in the future", start_ms, end_ms)
        times = self.times()
        proven = union(self._all_proven(now_ms))
        inside = times[bisect_left(times, start_ms) : bisect_left(times, end_ms)]
        rows = [self._candles[time] for time in inside]
        settled = bisect_right(inside, now_ms - self._lag_ms - self._timeframe.ms)
        grown = [
            row
            for row in rows[settled:]
            if not missing(proven, row.timestamp, row.close_time_ms)  # else it may grow still
        ]
        found = Candles(rows[:settled] + grown)
        found.young = rows[-1] if rows and rows[-1] not in found[-1:] else None
        if times and times[-1] >= current_ms:
            found.open_candle = self._candles[times[-1]]
            found.open_ms = times[-1]
        elif self._reach_ms > current_ms:  # not where it may be the first that was left out
            found.open_ms = current_ms
        found.is_bare = not times
        found.runs_ahead = runs_ahead
        found.contradicts = any(self._contradicting.values())
        found.anchored = self._anchored and not found.contradicts
        found.refused = [line for _, _, line in _within(self._refused, start_ms, end_ms)]
        found.refusals = _within(self._refusals, start_ms, end_ms)
        found.asked = union([(start_ms, end_ms)])
        found.covered = subtract(
            subtract(found.asked, missing(proven, start_ms, end_ms)),
            ((start, end) for start, end, _ in found.refusals),
        )
        return found

    def _all_proven(self, now_ms: int) -> Iterable[Interval]:
        yield from self._proven
        length = self._timeframe.ms
        for page in self._pages:
            times = [time for time in page if time in self._candles]
            for time in times[-1:]:
                if time + length + self._lag_ms <= now_ms:
                    yield time, time + length
            if self._quiet_bars is QuietBars.OMITS:
                yield from zip(times[:1], times[-1:], strict=True)
            else:
                yield from _bars(times[:-1], length)

    def _read(self, row: Row, start_ms: int, last_ms: int) -> tuple[int, Candle | str]:
        """Return a row's place and its candle, or why it is none; raise where it has no place."""
        time = self._open_time(row)
        try:
            candle: Candle | str = Candle(time, *self._values(row, self._timeframe))
        except NO_CANDLE as error:
            if type(time) is not int or time % self._timeframe.ms:
                raise
            candle = str(error)
        if not start_ms <= time <= last_ms:
            raise ValueError(candle if isinstance(candle, str) else "outside of what was asked for")
        return time, candle

    def _refuse_bar(self, time: int, row: Row, reason: str) -> None:
        end = time + self._timeframe.ms
        self._refusals.append(Refusal(time, end, self._refuse(row, reason, time, end)))

    def _refuse_again(self, candle: Candle, other: Candle | None) -> None:
        """Refuse a row whose time was passed already; which of two that differ was right?"""
        reason = "out of order, or comes twice"
        if other and candle.row() == other.row():
            self._refuse(candle, reason, candle.timestamp, candle.close_time_ms)
        else:
            self._refuse_bar(candle.timestamp, candle, reason)

    def _refuse(self, row: Row, reason: str, start_ms: int, end_ms: int) -> str:
        line = f"{clip(_without_words(reason))}: {clip(_numbers_of(row))}"
        self._refused.append(Refusal(start_ms, end_ms, line))
        return line


def _bars(times: Sequence[int], length: int) -> Iterable[Interval]:
    """Return the stretches of the bars that opened at some times, ascending."""
    if times and times[-1] - times[0] == (len(times) - 1) * length:  # one after the other
        return [(times[0], times[-1] + length)]
    return [(time, time + length) for time in times]


def _without_words(reason: str) -> str:
    """Take out what a reason quotes of a row, but for the names that we look for."""
    return QUOTED.sub(lambda found: found[0] if found[0][1:-1] in FIELDS else "…", reason)


def _numbers_of(row: Row | Candle) -> str:
    """Return the numbers of a row: the rest may be anybody's words."""
    match row:
        case Candle():
            return str(row)
        case list():
            return f"[{', '.join(map(_number_of, row[:MOST_SHOWN]))}]"
        case dict():
            told = (f"{name!r}: {_number_of(row[name])}" for name in FIELDS if name in row)
            return f"{{{', '.join(told)}}}"
    return shape_of(row)


def _number_of(value: Any) -> str:
    if isinstance(value, int | float):
        return str(value) if abs(value) < LARGEST_SHOWN or value != value else "?"
    is_number = isinstance(value, str) and NUMBER.fullmatch(value)
    return repr(value) if is_number else "?"


def _within(refusals: Iterable[Refusal], start_ms: int, end_ms: int) -> list[Refusal]:
    """Return what lies in a stretch, half-open, cut to it."""
    return [
        Refusal(max(start, start_ms), min(end, end_ms), reason)
        for start, end, reason in refusals
        if start < end_ms and end > start_ms
    ]


def number(text: str) -> float:
    """Return what an exchange wrote as a decimal string; anything else is refused."""
    if type(text) is not str or len(text) > LONGEST_NUMBER or "_" in text:
        raise TypeError(f"not a decimal string, but {shape_of(text)}")
    return float(text)


def real(given: int | float) -> float:
    """Return what an exchange wrote as a number of JSON, as exactly as candles are kept.

    Raises TypeError for what is none, ValueError for one that is not finite.
    """
    if type(given) not in (int, float):
        raise TypeError(f"not a number, but {shape_of(given)}")
    if not isfinite(given):
        raise ValueError(f"not a finite number, but {given}")
    return float(given)


def whole(given: int | str) -> int:
    """Return a whole number of an exchange's, written as such or as a string; no other.

    Raises ValueError for one below 0 or above 2^53, beyond which not all programs can tell it.
    """
    if type(given) is str and len(given) <= LONGEST_NUMBER and DIGITS.fullmatch(given):
        given = int(given)
    if type(given) is not int or not 0 <= given <= LARGEST_WHOLE:
        raise ValueError(f"not a whole number up to 2^53, but {shape_of(given)}")
    return given
