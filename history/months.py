"""Calendar months in UTC, of which each file of history holds one. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from livermore.market.coverage import Coverage, Interval, intersect


class Month(NamedTuple):
    """A calendar month; its text is `2026-11`."""

    year: int
    number: int  # 1 is January

    @classmethod
    def of(cls, time_ms: int) -> "Month":
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def named(cls, text: str) -> "Month":
        """Return the month of a text such as `2026-11`; ValueError where it is none."""
        moment = datetime.strptime(text, "%Y-%m")
        return cls(moment.year, moment.month)

    @property
    def next(self) -> "Month":
        return Month(self.year + 1, 1) if self.number == 12 else Month(self.year, self.number + 1)

    @property
    def start_ms(self) -> int:
        return int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp() * 1000)

    @property
    def interval(self) -> Interval:
        """Return from when to when it goes, in ms, half-open."""
        return self.start_ms, self.next.start_ms

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


def months_in(coverage: Coverage) -> Iterator[tuple[Month, Coverage]]:
    """Yield each month that `coverage` touches, oldest first, and what of it lies there."""
    last: Month | None = None
    for start_ms, end_ms in coverage:
        month = Month.of(start_ms)
        while month.start_ms < end_ms:
            if month != last:
                yield month, intersect(coverage, (month.interval,))
            last, month = month, month.next
