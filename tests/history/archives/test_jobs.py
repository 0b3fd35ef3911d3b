"""Which files are worth their way."""

from datetime import UTC, datetime

from history.archives.jobs import month_jobs
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

PAGE = 1000


def ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def jobs(timeframe, *missing, now="2026-11-29", worth=PAGE):
    coverage = tuple((ms(start), ms(end)) for start, end in missing)
    found = month_jobs(Pair("BTC-USD", Timeframe(timeframe)), coverage, ms(now), worth)
    return [(str(job.month), job.by_month, job.by_day, job.files) for job in found]


def test_months_that_ended_come_as_one_file_where_they_save_calls():
    stretch = ("2026-08-01", "2026-10-01")
    for timeframe in ("1m", "5m", "15m"):
        assert jobs(timeframe, stretch) == [
            ("2026-08", True, False, 1), ("2026-09", True, False, 1),
        ]  # fmt: skip
    for timeframe in ("1h", "4h", "1d"):
        assert jobs(timeframe, stretch) == []
        assert len(jobs(timeframe, stretch, worth=0)) == 2


def test_days_are_worth_it_for_minutes_alone():
    stretch = ("2026-11-20", "2026-11-29T07:00")
    assert jobs("1m", stretch) == [("2026-11", False, True, 9)]
    assert jobs("5m", stretch) == []
    assert jobs("5m", stretch, worth=0) == [("2026-11", False, True, 9)]


def test_days_stand_in_for_a_month_that_may_not_be_there_yet():
    stretch = ("2026-10-01", "2026-11-01")
    assert jobs("1m", stretch, now="2026-11-04") == [("2026-10", True, True, 1)]
    assert jobs("1m", stretch, now="2026-11-14") == [("2026-10", True, False, 1)]


def test_what_little_is_missing_of_a_month_is_asked_over_rest():
    assert jobs("1m", ("2026-08-03T00:00", "2026-08-03T16:00")) == []
    assert jobs("1m", ("2026-08-03T00:00", "2026-08-03T17:00")) != []
    scattered = [(f"2026-08-{day:02}T00:00", f"2026-08-{day:02}T01:00") for day in range(1, 20)]
    assert jobs("1m", *scattered) != []
