"""Filling history: what is missing of it, what that costs, and fetching exactly that."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchanges.rest.base import Known, VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from history.store import HistoryStore
from livermore.market.coverage import Coverage, Interval, intersect, missing, subtract, union
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import Rules, learn, withheld
from warmup.fetching import failure, run_all

logger = logging.getLogger(__name__)

CALLS_PER_JOB = 20  # whose candles are written together, and lost where a process is killed
BYTES_PER_CANDLE = 45  # of a row with ten columns, as measured; six take a half of it


@dataclass(frozen=True, slots=True)
class Job:
    """A stretch of a pair that is asked for at once, half-open."""

    symbol: str
    timeframe: Timeframe
    start_ms: int
    end_ms: int
    known: Known  # which rows exist beside it

    @property
    def pair(self) -> Pair:
        return Pair(self.symbol, self.timeframe)

    @property
    def periods(self) -> int:
        return (self.end_ms - self.start_ms) // self.timeframe.ms


@dataclass(slots=True)
class FillReport:
    """What a run did, and which stretches nobody knows after it."""

    candles: int = 0
    jobs: int = 0
    calls: int = 0
    unknown: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "candles": self.candles,
            "candleCalls": self.calls,
            "unknown": self.unknown,
            "failures": self.failures,
        }


class HistoryFilling:
    """Fills `[start_ms, end_ms)` of some pairs of an exchange; never beyond its last closed bar."""

    def __init__(self, store: HistoryStore, rest: VenueRest, symbols: Sequence[str],
                 timeframes: Sequence[Timeframe], stretch: Interval):  # fmt: skip
        self._store = store
        self._rest = rest
        self._rules = Rules(rest.quiet_bars, rest.lag_ms)
        self._symbols = symbols
        self._timeframes = timeframes
        self._stretch = stretch

    def missing(self, pair: Pair) -> Coverage:
        """Return what nobody knows of a pair."""
        start_ms, end_ms = self._stretch
        end_ms = min(pair.timeframe.ceil(end_ms), pair.timeframe.floor(self._rest.clock.now_ms()))
        return missing(self._store.coverage(pair), pair.timeframe.ceil(start_ms), end_ms)

    def jobs(self, timeframe: Timeframe) -> list[Job]:
        """Return what is to be asked for in a timeframe, oldest first of each symbol."""
        now_ms = self._rest.clock.now_ms()
        return [job for symbol in self._symbols for job in self._jobs(symbol, timeframe, now_ms)]

    def _jobs(self, symbol: str, timeframe: Timeframe, now_ms: int) -> Iterator[Job]:
        pair = Pair(symbol, timeframe)
        open_still = self._store.unconfirmed(pair)
        left_alone = [
            *withheld(open_still, now_ms),
            *((each.start_ms, each.end_ms) for each in open_still if each.due_ms() > now_ms),
        ]
        if timeframe is not Timeframe.D1:
            left_alone += self._before_its_first_day(symbol, now_ms)
        longest = CALLS_PER_JOB * self._rest.candles_per_call * timeframe.ms
        for start_ms, end_ms in subtract(self.missing(pair), left_alone):
            for at in range(start_ms, end_ms, longest):
                until_ms = min(at + longest, end_ms)
                known = Known(self._row_at(pair, at - timeframe.ms), self._row_at(pair, until_ms))
                yield Job(symbol, timeframe, at, until_ms, known)

    def _row_at(self, pair: Pair, time_ms: int) -> int | None:
        """Return an open time again where history has a row of it."""
        return time_ms if self._store.read(pair, time_ms, time_ms + 1).rows else None

    def _before_its_first_day(self, symbol: str, now_ms: int) -> Coverage:
        """Return what lies before the first day of which the exchange has a candle."""
        start_ms, end_ms = self._stretch
        today_ms = Timeframe.D1.floor(now_ms)
        known = self._store.read(Pair(symbol, Timeframe.D1), start_ms, end_ms)
        first_ms = known.rows[0][0] if known.rows else today_ms
        return union([(start_ms, int(min(first_ms, today_ms)))])

    def fill(self, on_job: Callable[[int, int, FillReport], None]) -> FillReport:
        """Fetch what is missing; `on_job` is told how many jobs are done, of how many so far.

        A pair that fails is in the report; raises where nothing could be done, as a warmup does.
        Days come first: they tell when a symbol began, and nothing older is asked for.
        """
        report = FillReport()
        for timeframe in self._timeframes:
            self._learn_beginnings(timeframe)
            jobs = self.jobs(timeframe)
            for done, (job, answer, error) in enumerate(self._fetched(jobs), start=1):
                if answer is not None:
                    self._write(job, answer)
                    report.candles += len(answer)
                else:
                    report.failures.append(failure(job, error))
                report.jobs += 1
                report.calls = self._rest.candle_calls
                on_job(done, len(jobs), report)
        report.unknown = list(self._unknown())
        return report

    def _fetched(self, jobs: Sequence[Job]):
        return run_all(self._rest, jobs, self._fetch)

    def _fetch(self, job: Job) -> Candles:
        return self._rest.get_candles(
            job.symbol, job.timeframe, job.start_ms, job.end_ms,
            known=job.known, lane=Lane.BACKFILL,
        )  # fmt: skip

    def _write(self, job: Job, answer: Candles) -> None:
        if answer.refused:
            logger.warning(
                "candles.refused exchange=%d symbol=%s timeframe=%s count=%d first=%s",
                *(self._rest.exchange_id, *job.pair, len(answer.refused), answer.refused[0]),
            )
        pair, now_ms = job.pair, self._rest.clock.now_ms()
        unconfirmed, covered = learn(
            self._store.unconfirmed(pair),
            self._store.coverage(pair),
            answer,
            job.timeframe,
            self._rules,
            now_ms,
        )
        self._store.write(pair, answer, covered, unconfirmed)

    def _learn_beginnings(self, timeframe: Timeframe) -> None:
        """Where days are proven to be empty before the first, so are the other timeframes."""
        if timeframe is Timeframe.D1:
            return
        start_ms, end_ms = self._stretch
        for symbol in self._symbols:
            days = self._store.read(Pair(symbol, Timeframe.D1), start_ms, end_ms)
            if not days.rows or not days.covered:
                continue
            empty = intersect(days.covered, ((start_ms, int(days.rows[0][0])),))
            pair = Pair(symbol, timeframe)
            if subtract(empty, self._store.coverage(pair)):
                self._store.write(pair, [], empty)

    def _unknown(self) -> Iterator[dict[str, Any]]:
        for pair in pairs_of(self._symbols, self._timeframes):
            reasons = {each[:2]: each.reason for each in self._store.unconfirmed(pair)}
            for start_ms, end_ms in self.missing(pair):
                reason = next(
                    (why for (start, end), why in reasons.items() if start <= start_ms < end), ""
                )
                yield {
                    "symbol": pair.symbol,
                    "timeframe": pair.timeframe,
                    "from": start_ms,
                    "to": end_ms,
                    "reason": reason or None,
                }


@dataclass(frozen=True, slots=True)
class FillPlan:
    """What filling would cost at the most: a symbol that is younger takes less."""

    candles: int
    calls: int
    weight: int
    minutes: float
    bytes: int

    def as_json(self) -> dict[str, Any]:
        return {
            "candles": self.candles,
            "calls": self.calls,
            "weight": self.weight,
            "minutes": self.minutes,
            "bytes": self.bytes,
        }


def plan(filling: HistoryFilling, rest: VenueRest, timeframes: Sequence[Timeframe]) -> FillPlan:
    """Return what `filling` would cost; the exchange is asked for its time at the most."""
    jobs = [job for timeframe in timeframes for job in filling.jobs(timeframe)]
    candles = sum(job.periods for job in jobs)
    calls = sum(-(-job.periods // rest.candles_per_call) for job in jobs)
    weight = calls * rest.candle_weight
    seconds = rest.client.pacer.seconds_for(calls, rest.candle_weight)
    return FillPlan(candles, calls, weight, seconds / 60, candles * BYTES_PER_CANDLE)
