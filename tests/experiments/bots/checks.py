"""What is wrong with candles that a bot was told. Nothing here knows how it was told them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from tests.experiments.bots.truth import Pair, Row

GRACE_MS = 5_000  # after its end a bar may be on its way that long
NO_CLOSE = 0


class ClosedCandles(Protocol):
    """Who knows the closed candles of a pair, by open time."""

    def closed(self, pair: Pair, start_ms: int, end_ms: int) -> Mapping[int, Row]: ...


class Answer(NamedTuple):
    """What a bot asked for, and what it was told. All times are the exchange's, in ms.

    It asked for bars that opened from `start_ms` on, or without that for the newest, up to `end_ms`
    included, `limit` at the most. It asked at `sent_ms` and was told at `received_ms`. What it is
    told of bars that ended less than `slack_ms` before it asked may be an older word of them.
    """

    pair: Pair
    rows: Sequence[Row]
    limit: int
    sent_ms: int
    received_ms: int
    slack_ms: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    closed_alone: bool = False
    grace_ms: int = GRACE_MS

    @property
    def known_ms(self) -> int:
        """Return until when bars had ended for certain."""
        return self.pair.floor(self.sent_ms - self.slack_ms)

    def open_rows(self) -> list[Row]:
        """Return those that may have been open."""
        return [row for row in self.rows if row[0] + self.pair.ms > self.known_ms]


def faults_of(answer: Answer, truth: ClosedCandles) -> Iterator[str]:
    """Yield what is wrong with an answer that claims to be complete."""
    times = [row[0] for row in answer.rows]
    if any(second <= first for first, second in pairwise(times)):
        yield f"not in order: {times}"
    yield from _faults_of_time(answer, times)
    yield from _faults_of_range(answer, times)
    begins_ms = times[0] if answer.start_ms is None and times else answer.start_ms or 0
    true = truth.closed(answer.pair, begins_ms, answer.known_ms) if times else {}
    for row in answer.rows:
        if row[0] + answer.pair.ms <= answer.known_ms:
            yield from faults_of_closed(row, true.get(row[0]))
    told = set(times)
    for opened in true:
        if times and opened <= times[-1] and opened not in told:
            yield f"{opened} is missing before {times[-1]}"
    if (late_ms := newest_late_ms(answer, truth)) > answer.grace_ms + answer.slack_ms:
        yield f"the newest bar is missing {late_ms} ms after its end"


def _faults_of_time(answer: Answer, times: Sequence[int]) -> Iterator[str]:
    for opened in times:
        if opened % answer.pair.ms:
            yield f"{opened} is off the boundary"
        if opened > answer.received_ms:
            yield f"{opened} is in the future"
        elif answer.closed_alone and opened + answer.pair.ms > answer.received_ms:
            yield f"{opened} is told as closed before its end"


def _faults_of_range(answer: Answer, times: Sequence[int]) -> Iterator[str]:
    if len(times) > answer.limit:
        yield f"{len(times)} rows of {answer.limit}"
    # Where no open candle is known none has its place, if the one before the oldest isn't either.
    if answer.start_ms is None and len(times) < answer.limit - (not answer.open_rows()):
        yield f"{len(times)} rows of {answer.limit}"
    if times and answer.start_ms is not None and times[0] < answer.start_ms:
        yield f"{times[0]} is before {answer.start_ms}"
    if times and answer.end_ms is not None and times[-1] > answer.end_ms:
        yield f"{times[-1]} is behind {answer.end_ms}"


def newest_late_ms(answer: Answer, truth: ClosedCandles) -> int:
    """Return how long ago the bar had ended, when it was asked, that an answer lacks at its end.

    The first of them, where it lacks several; 0 where it lacks none.
    """
    if answer.start_ms is not None and len(answer.rows) >= answer.limit:
        return 0  # there was no room for more
    if answer.rows:
        begins_ms = answer.rows[-1][0] + answer.pair.ms
    elif answer.start_ms is not None:
        begins_ms = answer.start_ms
    else:
        return 0  # that it has no rows is wrong already
    until_ms = answer.pair.floor(answer.sent_ms)
    if answer.end_ms is not None:
        until_ms = min(until_ms, answer.end_ms + 1)
    lacking = truth.closed(answer.pair, begins_ms, until_ms)
    return answer.sent_ms - min(lacking) - answer.pair.ms if lacking else 0


def faults_of_closed(row: Row, true: Row | None) -> Iterator[str]:
    """Yield what is wrong with a candle that is told as closed; it may lack the last columns."""
    if true is None:
        yield f"{row} does not exist"
    elif list(row) != list(true[: len(row)]):
        yield f"{list(row)} is not {list(true[: len(row)])}"


def faults_of_open(row: Row, true: Row | None) -> Iterator[str]:
    """Yield what is wrong with a candle that was told while it was open, once it is closed."""
    start, high, low, close, volume = row[1:6]
    if true is None:  # nothing was traded in it
        if volume:
            yield f"{row} does not exist"
        return
    fits = (
        start == true[1]
        and true[3] <= low <= min(start, close)
        and max(start, close) <= high <= true[2]
        and volume <= true[5]
        and all(
            a is None or (b is not None and a <= b)
            for a, b in zip(row[6:], true[6:10], strict=False)
        )
    )
    if not fits:
        yield f"{list(row)} can't become {list(true[: len(row)])}"


class StreamChecks:
    """One stream of one connection: each close once and in order, no bar before its turn.

    `skipped` are bars between two closes of which none was told.
    """

    def __init__(self, pair: Pair, truth: ClosedCandles):
        self._pair, self._truth = pair, truth
        self._closed_ms = NO_CLOSE  # the end of the last bar that was closed
        self.skipped: list[int] = []
        self.closes = 0

    def close(self, row: Row, arrived_ms: int) -> Iterator[str]:
        """Take a close; yield what is wrong with it."""
        opened, ended_ms = row[0], row[0] + self._pair.ms
        if ended_ms > arrived_ms:
            yield f"{opened} was closed {ended_ms - arrived_ms} ms before its end"
            return
        if opened < self._closed_ms:
            yield f"{opened} was closed again, or behind a later one"
            return
        true = self._truth.closed(self._pair, self._closed_ms or opened, ended_ms)
        yield from faults_of_closed(row, true.get(opened))
        self.skipped += [each for each in true if each < opened]
        self._closed_ms = ended_ms
        self.closes += 1

    def open(self, row: Row, arrived_ms: int) -> Iterator[str]:
        """Take an open candle; what its numbers may be is known later."""
        if row[0] > arrived_ms:
            yield f"{row[0]} is in the future"
        if row[0] < self._closed_ms:
            yield f"{row[0]} was shown after its close"


class EventChecks:
    """All closes of one exchange that a reader was told by their ids, over all its connections."""

    def __init__(self, truth: ClosedCandles):
        self._truth = truth
        self._place = (0, 0)
        self._told: dict[Pair, set[int]] = {}
        self._newest: dict[Pair, int] = {}
        self._first: dict[Pair, int] = {}
        self.closes = self.again = self.late = 0

    def take(
        self, event_id: str, pair: Pair, row: Row, arrived_ms: int, *, late: bool, again: bool
    ) -> Iterator[str]:
        """Take an event; yield what is wrong with it."""
        self.closes += 1
        self.late += late
        self.again += again
        place = tuple(map(int, event_id.split("-")))
        if place <= self._place:
            yield f"event {event_id} came after {self._place}"
        self._place = max(self._place, place)
        opened, told = row[0], self._told.setdefault(pair, set())
        if opened + pair.ms > arrived_ms:
            yield f"{pair} {opened} was told {opened + pair.ms - arrived_ms} ms before its end"
            return
        true = self._truth.closed(pair, opened, opened + pair.ms)
        yield from (f"{pair} {text}" for text in faults_of_closed(row, true.get(opened)))
        if opened in told and not again:
            yield f"{pair} {opened} was told twice"
        if opened < self._newest.get(pair, 0) and not (late or again):
            yield f"{pair} {opened} was told behind {self._newest[pair]}, and not as late"
        told.add(opened)
        self._newest[pair] = max(self._newest.get(pair, 0), opened)
        if not late:
            self._first.setdefault(pair, opened)

    def missing(self, until_ms: int) -> Iterator[str]:
        """Yield the closes that should have been told of the bars that ended by a time."""
        for pair, first_ms in self._first.items():
            true = self._truth.closed(pair, first_ms, pair.floor(until_ms))
            if lacking := sorted(set(true) - self._told[pair]):
                yield f"{pair} {lacking} were never told"
