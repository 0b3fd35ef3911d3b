"""Filling history: what is missing of it, what that costs, and fetching exactly that."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from exchanges.rest.base import Known, VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from history import parquet
from history.archives.filling import ArchiveFilling
from history.archives.jobs import MonthJob
from history.archives.taking import ArchiveTaking
from history.planning.jobs import BarCount, Job, due, together
from history.planning.report import TOO_OLD, FillReport
from history.store.store import HistoryStore
from livermore.market.coverage import Coverage, Interval, intersect, missing, span, subtract, union
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import Rules, learn, withheld
from warmup.fetching import failure, run_all

logger = logging.getLogger(__name__)

CALLS_PER_JOB = 20  # whose candles are written together, and lost where a process is killed


class HistoryFilling:
    """Fills `[start_ms, end_ms)` of some pairs of an exchange; never beyond its last closed bar.

    `archives` takes what it can from bulk files before REST is asked for the rest, None for REST
    alone. With `archives_only` nothing is asked over REST but what they are compared with.
    """

    def __init__(self, store: HistoryStore, rest: VenueRest, symbols: Sequence[str],
                 timeframes: Sequence[Timeframe], stretch: Interval,
                 archives: ArchiveTaking | None = None, *,
                 archives_only: bool = False):  # fmt: skip
        self._store = store
        self._rest = rest
        self._rules = Rules(rest.quiet_bars, rest.lag_ms)
        self._symbols = symbols
        self._timeframes = timeframes
        self._stretch = stretch
        self._archives = archives
        self._archives_only = archives_only
        self._first_days: dict[str, int] = {}
        self._days_were_asked = False

    def missing(self, pair: Pair) -> Coverage:
        """Return what nobody knows of a pair."""
        return missing(self._store.coverage(pair), *self._stretch_of(pair))

    def too_old(self, pair: Pair) -> Coverage:
        """Return of that what the exchange tells of no more, so that REST is not asked for it."""
        told_ms = self._rest.oldest_told_ms(pair.timeframe)
        return intersect(self.missing(pair), ((0, told_ms),))

    def lacks_too_old(self, timeframe: Timeframe) -> bool:
        """Tell whether any pair of a timeframe lacks such."""
        return any(self.too_old(Pair(symbol, timeframe)) for symbol in self._symbols)

    def wanted(self, pair: Pair, now_ms: int) -> Coverage:
        """Return what is to be asked for now: of that, and of what is to be told a second time."""
        open_still, within = self._store.unconfirmed(pair), self._stretch_of(pair)
        return subtract(
            due(self.missing(pair), open_still, within, now_ms), self._left_alone(pair, now_ms)
        )

    def _stretch_of(self, pair: Pair) -> Interval:
        start_ms, end_ms = map(pair.timeframe.ceil, self._stretch)
        return start_ms, min(end_ms, pair.timeframe.floor(self._rest.clock.now_ms()))

    def month_jobs(self, timeframe: Timeframe) -> list[MonthJob]:
        """Return what is to be taken from bulk files in a timeframe, oldest first."""
        if self._archives is None:
            return []
        now_ms = self._rest.clock.now_ms()
        pairs = [Pair(symbol, timeframe) for symbol in self._symbols]
        return [
            job
            for pair in pairs
            for job in self._archives.jobs(pair, self.wanted(pair, now_ms), now_ms)
        ]

    def jobs(
        self, timeframe: Timeframe, taken: Iterable[MonthJob] = (), *, by_rest: bool = False
    ) -> list[Job]:
        """Return what is to be asked for in a timeframe, oldest first of each symbol.

        `taken` are months that bulk files will have brought by then. With `by_rest` what REST
        would be asked for if there were none.
        """
        if self._archives_only and not by_rest:
            return []
        now_ms = self._rest.clock.now_ms()
        found: list[Job] = []
        for symbol in self._symbols:
            pair = Pair(symbol, timeframe)
            brought = (each for job in taken if job.symbol == symbol for each in job.missing)
            wanted = subtract(self.wanted(pair, now_ms), self.too_old(pair))
            found += self._jobs(pair, subtract(wanted, brought), now_ms)
        return found

    def _jobs(self, pair: Pair, wanted: Coverage, now_ms: int) -> Iterator[Job]:
        length, page = pair.timeframe.ms, self._rest.candles_per_call
        longest = CALLS_PER_JOB * page * length
        left_alone = self._left_alone(pair, now_ms)
        for start_ms, end_ms in together(wanted, page * length, left_alone):
            for at in range(start_ms, end_ms, longest):
                until_ms = min(at + longest, end_ms)
                known = Known(self._row_at(pair, at - length), self._row_at(pair, until_ms))
                yield Job(*pair, at, until_ms, known)

    def _left_alone(self, pair: Pair, now_ms: int) -> Coverage:
        """Return what was asked for lately in vain, or lies before a symbol's first day."""
        open_still = self._store.unconfirmed(pair)
        left_alone = [
            *withheld(open_still, now_ms),
            *((each.start_ms, each.end_ms) for each in open_still if each.due_ms() > now_ms),
        ]
        if pair.timeframe is not Timeframe.D1:
            left_alone.append((self._stretch[0], self._first_day(pair.symbol, now_ms)))
        return union(left_alone)

    def _row_at(self, pair: Pair, time_ms: int) -> int | None:
        """Return an open time again where history has a row of it."""
        return time_ms if self._store.read(pair, time_ms, time_ms + 1).rows else None

    def _first_day(self, symbol: str, now_ms: int) -> int:
        """Return the first day of which history has a candle; looked up once.

        It is today where there is none, and the first of all as long as days were not asked for.
        """
        if symbol not in self._first_days:
            days, today_ms = Pair(symbol, Timeframe.D1), Timeframe.D1.floor(now_ms)
            found_ms, _ = self._first_row(days)
            first_ms = today_ms if found_ms is None else found_ms
            if not self._days_were_asked and intersect(self.missing(days), ((0, first_ms),)):
                first_ms = self._stretch[0]
            self._first_days[symbol] = min(first_ms, today_ms)
        return self._first_days[symbol]

    def _first_row(self, pair: Pair) -> tuple[int | None, Coverage]:
        """Return when the first candle opened, None without any, and what is known up to there.

        No more files are read than that takes.
        """
        covered: list[Interval] = []
        for part in self._store.parts(pair, *self._stretch):
            covered += part.covered
            if part.table.num_rows:
                return parquet.times_of(part.table)[0], union(covered)
        return None, union(covered)

    def fill(self, on_job: Callable[[int, int, FillReport], None]) -> FillReport:
        """Fetch what is missing; `on_job` is told how many bars are done, of how many at the most.

        A pair that fails is in the report; raises where nothing could be done, as a warmup does.
        Days come first: they tell when a symbol began, and nothing older is asked for.
        """
        report, began = FillReport(), time.monotonic()
        bars = BarCount(self._timeframes, self._bars_wanted)

        def tell(done: int) -> None:
            bars.done += done
            report.calls = self._rest.candle_calls
            report.weight = report.calls * self._rest.candle_weight
            report.written = self._store.bytes_written
            report.seconds = time.monotonic() - began
            if self._archives is not None:
                report.archives.octets = self._archives.octets
                report.archives.trouble = self._archives.trouble
            on_job(bars.done, bars.total, report)

        for timeframe in self._timeframes:
            self._learn_beginnings(timeframe)
            bars.begin(timeframe)
            self._fill_by_archives(timeframe, report, tell)
            self._fill_by_rest(timeframe, report, tell)
            if timeframe is Timeframe.D1:
                self._days_were_asked = True
                self._first_days.clear()
        report.unknown = list(self._unknown())
        return report

    def _bars_wanted(self, timeframe: Timeframe) -> int:
        now_ms = self._rest.clock.now_ms()
        pairs = [Pair(symbol, timeframe) for symbol in self._symbols]
        wanted = [self.wanted(pair, now_ms) for pair in pairs]
        if self._archives is None:
            lost = map(self.too_old, pairs)
            wanted = [subtract(*each) for each in zip(wanted, lost, strict=True)]
        return sum(map(span, wanted)) // timeframe.ms

    def _fill_by_archives(
        self, timeframe: Timeframe, report: FillReport, tell: Callable[[int], None]
    ) -> None:
        """Take what bulk files have; what came of none of it REST is asked for afterwards."""
        if self._archives is None:
            return
        months = ArchiveFilling(self._store, self._rest, self._archives)
        for job, taken, answers in months.fill(self.month_jobs(timeframe)):
            if taken is not None:
                candles = span(taken.covered) // timeframe.ms
                report.candles += candles
                report.archives.add(taken, candles)
                tell(candles)
            report.candles += self._add_answers(job, answers)

    def _fill_by_rest(
        self, timeframe: Timeframe, report: FillReport, tell: Callable[[int], None]
    ) -> None:
        for job, answer, error in self._fetched(self.jobs(timeframe)):
            if answer is not None:
                self._write(job, answer)
                report.candles += len(answer)
            else:
                report.failures.append(failure(job, error))
            report.jobs += 1
            tell(job.periods)

    def _fetched(self, jobs: Sequence[Job]):
        return run_all(self._rest, jobs, self._fetch)

    def _fetch(self, job: Job) -> Candles:
        return self._rest.get_candles(
            job.symbol, job.timeframe, job.start_ms, job.end_ms,
            known=job.known, lane=Lane.BACKFILL,
        )  # fmt: skip

    def _add_answers(self, job: MonthJob, answers: Sequence[Candles]) -> int:
        """Write of answers what history has not, and return how many candles that is."""
        added, known = 0, self._store.coverage(job.pair)
        for answer in answers:
            if news := subtract(answer.covered, known):
                self._write(job, answer)
                added += span(news) // job.timeframe.ms
                known = self._store.coverage(job.pair)
        return added

    def _write(self, job: Job | MonthJob, answer: Candles) -> None:
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
        for symbol in self._symbols:
            first_ms, covered = self._first_row(Pair(symbol, Timeframe.D1))
            if first_ms is None:
                continue
            empty = intersect(covered, ((self._stretch[0], first_ms),))
            pair = Pair(symbol, timeframe)
            if subtract(empty, self._store.coverage(pair)):
                self._store.write(pair, [], empty)

    def _unknown(self) -> Iterator[dict[str, Any]]:
        for pair in pairs_of(self._symbols, self._timeframes):
            reasons = {each[:2]: each.reason for each in self._store.unconfirmed(pair)}
            lost = self.too_old(pair)
            yield from (_unknown(pair, stretch, TOO_OLD) for stretch in lost)
            for start_ms, end_ms in subtract(self.missing(pair), lost):
                reason = next(
                    (why for (start, end), why in reasons.items() if start <= start_ms < end), ""
                )
                yield _unknown(pair, (start_ms, end_ms), reason)


def _unknown(pair: Pair, stretch: Interval, reason: str) -> dict[str, Any]:
    return {
        "symbol": pair.symbol,
        "timeframe": pair.timeframe,
        "from": stretch[0],
        "to": stretch[1],
        "reason": reason or None,
    }
