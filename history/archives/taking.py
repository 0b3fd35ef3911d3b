"""Months of candles from bulk files: what of them REST confirms is taken, and nothing else."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exchanges.errors import (
    BadPayload,
    Blocked,
    Excessive,
    LivermoreError,
    Misconfigured,
    Temporary,
)
from exchanges.rest.base import VenueRest
from exchanges.rest.reply import Candles
from history import parquet
from history.archives.comparing import compare
from history.archives.edges import Edges
from history.archives.jobs import MonthJob, month_jobs, name_of_day
from history.archives.parse import Rows, covered
from history.archives.source import ArchiveSource
from history.parquet import Row
from livermore.market.coverage import Coverage, Interval, intersect, subtract
from livermore.market.pair import Pair

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)

MOST_DIFFERENT = 5  # bars of a month, of those that were compared; with more it is not believed
ABSENT_DAYS = 3  # in a row: further ones are not looked for
FAILURES_IN_A_ROW = 3  # of the host, after which it is left alone


@dataclass(slots=True)
class Taken:
    """What came of a month: a table of what is new, and of which stretches that is all.

    `answers` are those of REST that were asked for this, and win where they differ. `refused` has
    what was not believed and why, `refused_rows` counts rows of files that were.
    """

    table: "pyarrow.Table | None" = None
    covered: Coverage = ()
    answers: list[Candles] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    refused_rows: int = 0
    files: int = 0


class ArchiveTaking:
    """Takes what is missing of pairs from an exchange's bulk files. Threads may share it.

    `native_symbols` are by canonical names. With `always` also such files are looked for that
    save no calls. Nothing outside of `within` is asked.
    """

    def __init__(
        self,
        source: ArchiveSource,
        rest: VenueRest,
        native_symbols: Mapping[str, str],
        within: Interval,
        *,
        always: bool = False,
    ):
        self._source = source
        self._rest = rest
        self._native_symbols = native_symbols
        self._edges = Edges(rest, within)
        self._worth_periods = 0 if always else rest.candles_per_call
        self._failures = 0
        self.trouble = ""  # why the host was left alone

    @property
    def octets(self) -> int:
        """Return how many bytes of files have come so far."""
        return self._source.octets

    def close(self) -> None:
        """Take nothing more."""
        self._source.close()

    def jobs(self, pair: Pair, missing: Coverage, now_ms: int) -> list[MonthJob]:
        """Return the months to take of what is missing of a pair."""
        if pair.symbol not in self._native_symbols:
            return []
        return list(month_jobs(pair, missing, now_ms, self._worth_periods))

    def take(self, job: MonthJob) -> Taken:
        """Return what the files of a month have of what is missing, as far as REST confirms it.

        A file that is not there, can't be had or is not to be believed is no error. Raises as REST
        does.
        """
        taken = Taken()
        rows = self._rows(job, taken)
        if rows is None:
            return taken
        table = parquet.within(rows.table, job.missing)
        if not table.num_rows:
            return taken
        self._compare(job, table, taken)
        if taken.table is not None:
            taken.refused_rows += rows.refused
        return taken

    # -- files

    def _rows(self, job: MonthJob, taken: Taken) -> Rows | None:
        native, timeframe = self._native_symbols[job.symbol], job.timeframe
        if job.by_month:
            path = self._source.month_path(native, timeframe, job.month)
            rows, was_refused = self._fetch(job, path, job.month.interval, taken)
            if rows or was_refused:
                return rows
        return _joined(list(self._days(job, native, taken))) if job.by_day else None

    def _days(self, job: MonthJob, native: str, taken: Taken) -> Iterator[Rows]:
        absent = 0
        for day in job.days:
            path = self._source.day_path(native, job.timeframe, name_of_day(day[0]))
            rows, was_refused = self._fetch(job, path, day, taken)
            absent = 0 if rows or was_refused else absent + 1
            if rows:
                yield rows
            if absent == ABSENT_DAYS:
                return

    def _fetch(
        self, job: MonthJob, path: str, stretch: Interval, taken: Taken
    ) -> tuple[Rows | None, bool]:
        """Return the rows of a file, None where there are none, and whether it was refused."""
        if self.trouble:
            return None, False
        try:
            rows = self._source.fetch(path, job.timeframe, stretch)
        except (BadPayload, Excessive) as error:
            self._failures = 0
            self._refuse(job, path.rpartition("/")[2], str(error), taken)
            return None, True
        except (Temporary, Blocked, Misconfigured) as error:
            self._fail(error)
            return None, False
        self._failures = 0
        taken.files += rows is not None
        return rows, False

    def _refuse(self, job: MonthJob, name: str, reason: str, taken: Taken) -> None:
        logger.warning(
            "history.archive_refused exchange=%d file=%s reason=%s",
            *(self._rest.exchange_id, name, reason),
        )
        taken.refused.append(
            {
                "symbol": job.symbol,
                "timeframe": str(job.timeframe),
                "file": name,
                "reason": reason,
            }
        )

    def _fail(self, error: LivermoreError) -> None:
        """Take note that the host can't be had; after some times in a row it is left alone."""
        self._failures += 1
        if self.trouble or (isinstance(error, Temporary) and self._failures < FAILURES_IN_A_ROW):
            return
        self.trouble = str(error)
        logger.warning("history.archive_left exchange=%d error=%s", self._rest.exchange_id, error)

    # -- comparing

    def _compare(self, job: MonthJob, table: "pyarrow.Table", taken: Taken) -> None:
        times = parquet.times_of(table)
        told = []
        for border_ms in (times[0], times[-1] + job.timeframe.ms):
            edge, is_news = self._edges.around(job.pair, border_ms)
            if is_news:
                taken.answers.append(edge.answer)
            told.append(edge.table)
        compared, different = compare(table, told, job.timeframe)
        self._say_what_differs(job, compared, different, taken)
        if not compared or len(different) > MOST_DIFFERENT:
            reason = f"{len(different)} of {compared} bars that were compared differ from REST's"
            self._refuse(job, str(job.month), reason if compared else "REST has none of it", taken)
            return
        doubtful = [(int(row[0]), int(row[0]) + job.timeframe.ms) for row, _ in different]
        taken.table = table
        taken.covered = subtract(intersect(covered(table, job.timeframe), job.missing), doubtful)

    def _say_what_differs(
        self, job: MonthJob, compared: int, different: list[tuple[Row, Row]], taken: Taken
    ) -> None:
        taken.differences = [
            {
                "symbol": job.symbol,
                "timeframe": str(job.timeframe),
                "timestamp": row[0],
                "archive": row,
                "rest": other,
            }
            for row, other in different
        ]
        if different:
            logger.warning(
                "history.archive_differs exchange=%d symbol=%s timeframe=%s month=%s compared=%d "
                "different=%d first=%d",
                *(self._rest.exchange_id, *job.pair, job.month, compared, len(different)),
                different[0][0][0],
            )


def _joined(days: list[Rows]) -> Rows | None:
    if not days:
        return None
    table = parquet.library().concat_tables([day.table for day in days])
    return Rows(table, sum(day.refused for day in days))
