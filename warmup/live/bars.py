"""When a bar is final: the rules that turn what a stream says into closes, each once and in order.

Pure: it is told what came and what time it is, and returns what is to be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isclose

from exchanges.rest.reply import Candles
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval, intersect, subtract, union
from livermore.market.timeframe import Timeframe

RETRY_MS, LONGEST_RETRY_MS = 5_000, 300_000
LONGEST_RETRY_TRADED_MS = 30_000  # for a bar that is known to have traded
GRACE_MS = 5_000  # how long after its end a bar may wait for the stream to close it
LONGEST_WAIT_MS = 60_000  # how long the event of a close waits for those before it
EVER = 10**15


TOLD, LATE, SKIPPED, UNTOLD = "told", "late", "skipped", ""


@dataclass(frozen=True, slots=True)
class Close:
    """What became known of a pair: a final bar, or where `candle` is None a stretch without any.

    `covered` is the stretch that is complete with it; `healed` where it came over REST; `stored`
    where it is in the cache already. `how` it is told: `TOLD` in turn; `UNTOLD` as it waits for
    those before it; `LATE`, after others that come behind it. Where it is `SKIPPED` nothing became
    known: what comes behind the stretch is told before it.
    """

    candle: Candle | None
    covered: Interval
    healed: bool
    stored: bool = False
    how: str = TOLD
    again: bool = False  # it may have been told before, and Redis have lost that


@dataclass(slots=True)
class Bars:
    """One pair of a stream: everything before `next_ms` is final and was told, or was skipped.

    The next bar closes when the exchange says so. Where that doesn't come (the frame was lost, the
    market is quiet, the connection was down) the answer of REST decides. What closes meanwhile is
    stored at once and told after it, so that closes are told in order; but no event waits for
    longer than a minute: then what is missing is skipped.

    """

    timeframe: Timeframe
    next_ms: int
    streamed: bool = False
    asked: bool = False  # REST was asked, and has not answered yet
    retry_at_ms: int = 0
    failures: int = 0
    waiting_from_ms: int = 0  # nobody had a chance to close what is missing before
    whole_from_ms: int = EVER  # of bars that open from then on the stream showed every trade
    _in_vain: bool = False  # REST was asked for the next bar, and had no news
    _ahead: dict[int, tuple[Candle, bool]] = field(default_factory=dict)  # closed; is it healed?
    _known: Coverage = ()  # of what comes after `next_ms`
    _seen: dict[int, Candle] = field(default_factory=dict)  # open bars, as the stream showed them
    _traded: set[int] = field(default_factory=set)  # bars in which the stream showed a trade

    # -- what the stream says

    def update(self, candle: Candle) -> list[Close]:
        """Take a bar that the stream closes; return the closes that follow, in order."""
        time = candle.timestamp
        if time < self.next_ms or time in self._ahead:
            return []
        if time == self.next_ms and not self._known:
            return [self._close(candle, healed=False)]
        return self._learn([candle], ((time, candle.close_time_ms),), healed=False)

    def widen(self, candle: Candle) -> Candle | None:
        """Return an open candle with all that was shown of its bar; None where it is no news.

        Within a bar high, low and volume only widen. Of two versions the one with more volume is
        newer, so its close counts, and its columns; one without any has those of the other where
        nothing was traded in between.
        """
        time = candle.timestamp
        if time < self.next_ms or time in self._ahead:
            return None
        before = self._seen.get(time)
        if before and not _holds(candle, before):
            newer = candle if candle.volume >= before.volume else before
            high, low = max(candle.high, before.high), min(candle.low, before.low)
            if (newer.high, newer.low) != (high, low):
                newer = replace(newer, high=high, low=low)
            candle = newer
        if before and candle.columns is None:
            candle = _with_columns(candle, before)
        self._seen[time] = candle
        if candle.volume and time not in self._traded:
            self.has_traded(time)
        return candle

    def was_shown_wider(self, candle: Candle) -> bool:
        """Tell whether more was shown of a bar: it may have been on another connection."""
        seen = self._seen.get(candle.timestamp)
        return seen is not None and _shows_less(candle, seen)

    def has_traded(self, time_ms: int) -> None:
        """Learn that something was traded at `time_ms`: the bar of that time is not empty."""
        opened = self.timeframe.floor(time_ms)
        if opened >= self.next_ms and opened not in self._traded:
            self._traded.add(opened)
            # It will close: don't wait for it as long as for a market that stands still.
            self.retry_at_ms = min(self.retry_at_ms, opened + self.timeframe.ms + GRACE_MS)

    def is_quiet(self, from_ms: int, to_ms: int) -> list[Close]:
        """Learn that nothing was traded in `[from_ms, to_ms)`; return the closes that follow."""
        from_ms = max(self.timeframe.ceil(from_ms), self.next_ms)
        stretch = union([(from_ms, self.timeframe.floor(to_ms))])
        bars = [self._bar(time) for time in (*self._traded, *self._ahead)]
        return self._learn([], subtract(stretch, bars), healed=False)

    # -- what REST says

    @property
    def due_ms(self) -> int:
        """Return before when the stream may still close the next bar by itself."""
        return self.next_ms + self.timeframe.ms + GRACE_MS

    def overdue(
        self, now_ms: int, grace_ms: int = GRACE_MS, wanted: bool = False
    ) -> Interval | None:
        """Return the stretch to ask REST for, None where nothing is or it was asked already.

        What somebody waits for is `wanted` at once, and where nothing is streamed too.
        """
        from_ms = self.next_ms + self.timeframe.ms + grace_ms
        if not wanted:
            from_ms = max(from_ms, self.retry_at_ms)
        if self.asked or now_ms < from_ms or not (self.streamed or wanted):
            return None
        return (self.next_ms, self.timeframe.floor(now_ms - grace_ms))

    def judge(self, answer: Candles, now_ms: int, lag_ms: int, whole_until_ms: int) -> Coverage:
        """Hold an answer against what the stream showed; return the bars that REST lacks wrongly.

        A row that shows less than the stream did, of a bar that ended less than `lag_ms` ago, is
        older than that: it is taken out. One that may still grow, but equals what the stream
        showed, is final, if the stream showed the bar from its beginning without a loss and went
        on after its end: it told all of it that ended before `whole_until_ms`.
        """
        young = answer.young
        seen = self._seen.get(young.timestamp) if young else None
        if young and seen and self._is_whole(young, whole_until_ms) and _are_alike(young, seen):
            answer.append(_with_columns(young, seen))
            answer.young = None
            answer.covered = union([*answer.covered, (young.timestamp, young.close_time_ms)])
        stale = [
            candle
            for candle in answer
            if candle.close_time_ms + lag_ms > now_ms
            and (seen := self._seen.get(candle.timestamp))
            and _shows_less(candle, seen)
        ]
        if stale:
            gone = {candle.timestamp for candle in stale}
            answer[:] = [candle for candle in answer if candle.timestamp not in gone]
            answer.covered = subtract(answer.covered, map(self._bar, gone))
        rows = {candle.timestamp for candle in answer}
        lacking = self._traded - rows - {young.timestamp if young else 0}
        return intersect(union(map(self._bar, lacking)), answer.asked)

    def _is_whole(self, candle: Candle, until_ms: int) -> bool:
        return self.whole_from_ms <= candle.timestamp and candle.close_time_ms <= until_ms

    def healed(self, candles: Sequence[Candle], covered: Coverage) -> list[Close]:
        """Take what REST knows, oldest first; return the closes that follow, in order."""
        self.asked = False
        return self._learn(candles, covered, healed=True)

    def failed(self, now_ms: int) -> None:
        """Learn that REST had no news; it is asked again later, and later each time."""
        self.asked, self._in_vain = False, True
        traded = any(time + self.timeframe.ms <= now_ms for time in self._traded)
        self._wait(now_ms, LONGEST_RETRY_TRADED_MS if traded else LONGEST_RETRY_MS)

    def was_quiet(self, now_ms: int) -> None:
        """Learn that REST told of no candle, and that there is none; it is asked ever more rarely.

        A trade that the stream shows, or somebody who waits, lets it be asked at once.
        """
        self._wait(now_ms, LONGEST_RETRY_MS)

    def try_at_once(self) -> None:
        """Learn that REST may have news: it is asked without waiting for the next try."""
        self.failures = self.retry_at_ms = 0

    # -- what happens to the stream and the cache

    def reconnected(self, now_ms: int, whole_from_ms: int = EVER) -> None:
        """Learn that it is streamed from now on.

        From `whole_from_ms` on nothing is lost until this comes again.
        """
        if not self.streamed:
            self.waiting_from_ms = now_ms
        self.streamed = True
        self.whole_from_ms = whole_from_ms
        self.try_at_once()

    def cached(self, candles: Sequence[Candle], covered: Coverage) -> list[Close]:
        """Take what the cache held already beyond `next_ms`; return what is to be told of it."""
        closes = self._learn(candles, covered, healed=True)
        return [replace(close, stored=True) for close in closes if close.how]

    def skip_to(self, earliest_ms: int) -> None:
        """Leave alone what closed before `earliest_ms`: it would not be kept, or can't be had."""
        if self.next_ms < earliest_ms:
            self._ahead = {time: each for time, each in self._ahead.items() if time >= earliest_ms}
            self._known = intersect(self._known, ((earliest_ms, EVER),))
            self._pass(earliest_ms)

    def told_elsewhere(self, until_ms: int) -> list[Close]:
        """Learn that what ended before `until_ms` was told by another; return what follows it."""
        if until_ms <= self.next_ms:
            return []
        self.skip_to(until_ms)
        return self._in_turn(set(), ())

    def stop_waiting(self, now_ms: int) -> list[Close]:
        """Skip what is missing where closes have waited for it for a minute; return these."""
        if not self._ahead:
            return []
        first_ms = min(self._ahead)
        waiting_since_ms = max(first_ms + self.timeframe.ms, self.waiting_from_ms)
        if now_ms < waiting_since_ms + LONGEST_WAIT_MS:
            return []
        until_ms = next(start for start, end in self._known if start <= first_ms < end)
        skipped = Close(None, (self.next_ms, until_ms), False, how=SKIPPED)
        self._pass(until_ms)
        return [skipped, *self._in_turn(set(), ())]

    def take_back(self, from_ms: int) -> None:
        """Learn that what closed from `from_ms` on was not stored: it has to be healed."""
        self.next_ms = min(self.next_ms, from_ms)
        self._ahead.clear()
        self._known = ()

    def has_closed(self, from_ms: int) -> bool:
        """Tell whether anything is final of what opened from a time on, be it told or not."""
        return from_ms < self.next_ms or any(end > from_ms for _, end in self._known)

    def forget_shown(self, from_ms: int, whole_from_ms: int) -> None:
        """Learn that what the stream showed of bars from a time on may be wrong.

        It shows every trade of those alone that open from `whole_from_ms` on.
        """
        self._seen = {time: each for time, each in self._seen.items() if time < from_ms}
        self._traded = {time for time in self._traded if time < from_ms}
        self.whole_from_ms = max(self.whole_from_ms, whole_from_ms)

    @property
    def traded(self) -> Coverage:
        """Return the bars in which the stream showed a trade, and which are not closed."""
        return union(map(self._bar, self._traded - self._ahead.keys()))

    @property
    def is_waiting(self) -> bool:
        """Return whether REST was asked in vain for what should have closed."""
        return self.streamed and self._in_vain

    @property
    def holds_back(self) -> bool:
        """Return whether closes wait for one that is missing."""
        return bool(self._ahead)

    def may_be_open(self, time: int) -> bool:
        """Tell whether no close of the bar that opened at a time has come."""
        return time >= self.next_ms and time not in self._ahead

    # -- inside

    def _wait(self, now_ms: int, longest_ms: int) -> None:
        self.retry_at_ms = now_ms + min(RETRY_MS * 2**self.failures, longest_ms)
        self.failures = min(self.failures + 1, 16)

    def _learn(self, candles: Sequence[Candle], covered: Coverage, healed: bool) -> list[Close]:
        covered = intersect(covered, ((self.next_ms, EVER),))
        spans = subtract(covered, self._known)
        fresh = set()
        for candle in candles:
            time = candle.timestamp
            if time not in self._ahead and intersect(covered, (self._bar(time),)):
                self._ahead[time] = (candle, healed)
                fresh.add(time)
        self._known = union([*self._known, *covered])
        closes = self._in_turn(fresh, spans)
        waiting = sorted(time for time in fresh if time in self._ahead)
        closes += [Close(self._ahead[t][0], self._bar(t), healed, how=UNTOLD) for t in waiting]
        quiet = subtract(intersect(spans, self._known), map(self._bar, waiting))
        return closes + [Close(None, span, healed, how=UNTOLD) for span in quiet]

    def _in_turn(self, fresh: set[int], spans: Coverage) -> list[Close]:
        """Return what can be told now; `fresh` bars and `spans` are not stored yet."""
        closes: list[Close] = []
        while self._known and self._known[0][0] <= self.next_ms:
            (_, end_ms), *rest = self._known
            self._known = tuple(rest)
            for time in sorted(time for time in self._ahead if time < end_ms):
                candle, healed = self._ahead.pop(time)
                if time not in fresh:
                    closes += self._quiet(time, spans)
                closes.append(self._close(candle, healed, stored=time not in fresh))
            closes += self._quiet(end_ms, spans)
        return closes

    def _quiet(self, until_ms: int, spans: Coverage) -> list[Close]:
        if self.next_ms >= until_ms:
            return []
        stretch = (self.next_ms, until_ms)
        stored = not intersect((stretch,), spans)
        self._pass(until_ms)
        return [Close(None, stretch, healed=True, stored=stored)]

    def _close(self, candle: Candle, healed: bool, stored: bool = False) -> Close:
        covered = (self.next_ms, candle.close_time_ms)
        self.failures = 0
        self._pass(candle.close_time_ms)
        return Close(candle, covered, healed, stored)

    def _pass(self, until_ms: int) -> None:
        self.next_ms = until_ms
        self._in_vain = False
        if self._seen:
            self._seen = {time: each for time, each in self._seen.items() if time >= until_ms}
        if self._traded:
            self._traded = {time for time in self._traded if time >= until_ms}

    def _bar(self, time: int) -> Interval:
        return (time, time + self.timeframe.ms)


def _holds(candle: Candle, before: Candle) -> bool:
    """Tell whether one state of a bar can be the one after another as it is."""
    is_wider = candle.high >= before.high and candle.low <= before.low
    return is_wider and candle.volume >= before.volume


def _with_columns(candle: Candle, other: Candle) -> Candle:
    """Return a state of a bar with the columns of another, where that one has as much volume."""
    if candle.columns is not None or candle.volume != other.volume:
        return candle
    return replace(candle, columns=other.columns) if other.columns else candle


def _are_alike(one: Candle, other: Candle) -> bool:
    return all(
        isclose(a, b, rel_tol=1e-9)
        for a, b in zip(one.values()[1:], other.values()[1:], strict=True)
    )


def _shows_less(candle: Candle, seen: Candle) -> bool:
    return (
        candle.high < seen.high or candle.low > seen.low or candle.volume < seen.volume * (1 - 1e-9)
    )
