"""Months from bulk files into history: got, proven and encoded by threads, written by one."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exchanges.rest.base import VenueRest
from exchanges.rest.reply import Candles
from history import parquet
from history.archives.jobs import MonthJob
from history.archives.taking import ArchiveTaking, Taken
from history.months import Month
from history.store.encoded import Encoded
from history.store.store import HistoryStore
from livermore.market.coverage import Coverage
from livermore.market.pair import Pair
from warmup.fetching import run_all

AT_ONCE = 5  # months that are got and read, or wait to be written
TOGETHER = 4  # months of a pair that are written together, and lost where a process is killed


class Before(NamedTuple):
    """What history has of a pair before it is filled, and its first file's month then."""

    covered: Coverage
    first: Month


class ArchiveFilling:
    """Takes months from an exchange's bulk files, as far as they go, and writes them."""

    def __init__(self, store: HistoryStore, rest: VenueRest, archives: ArchiveTaking):
        self._store = store
        self._rest = rest
        self._archives = archives

    def fill(
        self, jobs: Sequence[MonthJob]
    ) -> Iterator[tuple[MonthJob, Taken | None, list[Candles]]]:
        """Yield each job, oldest first of a pair, with what came of it, None where that failed.

        With a pair's last one comes what REST was asked for meanwhile: that is not written, and
        lies in two months each time.
        """
        left = Counter(job.pair for job in jobs)
        before = self._before(jobs)
        answers: dict[Pair, list[Candles]] = defaultdict(list)
        waiting: dict[Pair, list[Encoded]] = defaultdict(list)

        def take(job: MonthJob) -> tuple[Taken, Encoded | None]:
            taken = self._archives.take(job)
            return taken, self._encoded(job, taken, before[job.pair])

        for job, found, _error in run_all(self._rest, jobs, take, at_once=AT_ONCE):
            pair, taken = job.pair, None
            left[pair] -= 1
            if found is not None:
                taken, encoded = found
                waiting[pair] += [encoded] if encoded else []
                answers[pair] += taken.answers
            is_due = not left[pair] or len(waiting[pair]) == TOGETHER
            if is_due and (months := waiting.pop(pair, None)):
                self._store.add(pair, months)
            yield job, taken, [] if left[pair] else answers.pop(pair, [])

    def _before(self, jobs: Sequence[MonthJob]) -> dict[Pair, Before]:
        found: dict[Pair, Before] = {}
        for job in jobs:
            if job.pair not in found:
                files = self._store.months(job.symbol, [job.timeframe])
                found[job.pair] = Before(self._store.coverage(job.pair), min([job.month, *files]))
        return found

    def _encoded(self, job: MonthJob, taken: Taken, before: Before) -> Encoded | None:
        """Return what is to be written of a month that was taken; its rows are let go."""
        table, taken.table = taken.table, None
        if table is None or not taken.covered:
            return None
        rows, is_first = parquet.within(table, taken.covered), before.first == job.month
        return self._store.encode(
            job.pair, job.month, rows, taken.covered, before.covered, is_first=is_first
        )
