"""What filling history would cost, by REST alone and with what is published in bulk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchanges.rest.base import VenueRest
from history.archives.jobs import BYTES_PER_CANDLE as BYTES_IN_ZIPS
from history.archives.jobs import MonthJob
from history.filling import HistoryFilling
from history.planning.jobs import Job
from livermore.market.timeframe import Timeframe

BYTES_PER_CANDLE = 45  # of a row with ten columns, as measured; six take a half of it


@dataclass(frozen=True, slots=True)
class Cost:
    """What some calls take of an exchange's limits, and how long at the least."""

    calls: int
    weight: int
    minutes: float

    def as_json(self) -> dict[str, Any]:
        return {"calls": self.calls, "weight": self.weight, "minutes": self.minutes}


@dataclass(frozen=True, slots=True)
class FillPlan:
    """What filling would cost at the most: a symbol that is younger takes less.

    `rest_alone` is what it would cost without bulk files; `files` of these are to be looked for,
    with `download_bytes` or so. How long these take the network says. `told_from` is, by timeframe,
    when the oldest bar opened that the exchange tells of, of those that are wanted of older ones.
    """

    candles: int
    cost: Cost
    bytes: int
    rest_alone: Cost
    files: int = 0
    download_bytes: int = 0
    told_from: Mapping[Timeframe, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "candles": self.candles,
            **self.cost.as_json(),
            "bytes": self.bytes,
            "archives": {
                "files": self.files,
                "downloadBytes": self.download_bytes,
                "savesCalls": self.rest_alone.calls - self.cost.calls,
                "savesMinutes": self.rest_alone.minutes - self.cost.minutes,
            },
            "restAlone": self.rest_alone.as_json(),
            "toldFrom": self.told_from,
        }


def plan(filling: HistoryFilling, rest: VenueRest, timeframes: Sequence[Timeframe]) -> FillPlan:
    """Return what `filling` would cost; the exchange is asked for its time at the most."""
    alone = [job for timeframe in timeframes for job in filling.jobs(timeframe, by_rest=True)]
    months = {timeframe: filling.month_jobs(timeframe) for timeframe in timeframes}
    jobs = [job for timeframe, taken in months.items() for job in filling.jobs(timeframe, taken)]
    taken = [job for each in months.values() for job in each]
    by_archive = sum(job.periods for job in taken)
    calls = _calls(jobs, rest) + sum(map(_borders, months.values()))
    return FillPlan(
        candles=by_archive + sum(job.periods for job in jobs),
        cost=_cost(calls, rest),
        bytes=BYTES_PER_CANDLE * (by_archive + sum(job.periods for job in jobs)),
        rest_alone=_cost(_calls(alone, rest), rest),
        files=sum(job.files for job in taken),
        download_bytes=BYTES_IN_ZIPS * by_archive,
        told_from={
            timeframe: rest.oldest_told_ms(timeframe)
            for timeframe in timeframes
            if filling.lacks_too_old(timeframe)
        },
    )


def _calls(jobs: Iterable[Job], rest: VenueRest) -> int:
    return sum(rest.calls_for(job.periods) for job in jobs)


def _borders(jobs: Iterable[MonthJob]) -> int:
    """Return how many calls it takes to compare months: one at each border, which two share."""
    borders = {(job.pair, each) for job in jobs for each in (job.missing[0][0], job.missing[-1][1])}
    return len(borders)


def _cost(calls: int, rest: VenueRest) -> Cost:
    weight = rest.candle_weight
    return Cost(calls, calls * weight, rest.client.pacer.seconds_for(calls, weight) / 60)
