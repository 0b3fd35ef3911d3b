"""Which months of a pair are worth to be taken from bulk files: those that save calls. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from history.months import Month, months_in
from livermore.market.coverage import Coverage, intersect, span
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

DAY_MS = Timeframe.D1.ms
# The file of a month may come so long after its end; until then its days are had one by one.
MONTH_APPEARS_WITHIN_MS = 10 * DAY_MS
BYTES_PER_CANDLE = 60  # of a zip; those of Binance have 40 to 60


@dataclass(frozen=True, slots=True)
class MonthJob:
    """What is missing of a pair in a month, and may be had in one file, or in its days' files."""

    symbol: str
    timeframe: Timeframe
    month: Month
    missing: Coverage
    by_month: bool
    by_day: bool

    @property
    def pair(self) -> Pair:
        return Pair(self.symbol, self.timeframe)

    @property
    def periods(self) -> int:
        return span(self.missing) // self.timeframe.ms

    @property
    def days(self) -> list[tuple[int, int]]:
        """Return the days of which something is missing, oldest first."""
        start_ms, end_ms = self.month.interval
        days = [(each, each + DAY_MS) for each in range(start_ms, end_ms, DAY_MS)]
        return [day for day in days if intersect(self.missing, (day,))]

    @property
    def files(self) -> int:
        """Return how many files that is, without their checksums, if all are there."""
        return 1 if self.by_month else len(self.days)


def month_jobs(
    pair: Pair, missing: Coverage, now_ms: int, worth_periods: int
) -> Iterator[MonthJob]:
    """Yield what is to be looked for in bulk files of what is missing of a pair.

    A file is worth its way where it brings more than so many bars.
    """
    days_ms = now_ms // DAY_MS * DAY_MS
    is_worth_a_day = worth_periods * pair.timeframe.ms < DAY_MS
    for month, part in months_in(intersect(missing, ((0, days_ms),))):
        ended_ms = now_ms - month.next.start_ms
        job = MonthJob(
            *pair,
            month,
            part,
            by_month=ended_ms >= 0,
            by_day=is_worth_a_day and ended_ms < MONTH_APPEARS_WITHIN_MS,
        )
        if job.periods > worth_periods and (job.by_month or job.by_day):
            yield job


def name_of_day(time_ms: int) -> str:
    """Return a day as the names of files have it: `2026-11-29`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
