"""What people are told while history is filled, and when it has ended."""

from io import StringIO

from history.planning.plan import Cost, FillPlan
from history.planning.report import ArchiveReport, FillReport
from history.terminal import describe, print_fill, print_fill_plan

REPORT = FillReport(
    candles=1_234_567, calls=1500, weight=3000, written=31_400_000, seconds=150,
    archives=ArchiveReport(files=12, octets=2_500_000, candles=900_000, refused_rows=3),
)  # fmt: skip


def test_progress_tells_calls_weight_bytes_and_how_long_it_takes_at_the_most():
    assert describe(1_000_000, 5_000_000, REPORT) == (
        "1,234,567 candles · 1,500 calls · weight 3,000 (1,200 a minute) · 12 files 2.5 MB · "
        "31.4 MB written · at most 10.0 min left"
    )
    assert "left" not in describe(0, 5_000_000, FillReport())
    assert "left" not in describe(40_000, 5_000_000, FillReport())
    assert "files" not in describe(1, 2, FillReport(seconds=2))


def test_weight_of_less_than_a_minute_is_no_more_a_minute():
    assert FillReport(weight=500, seconds=1).weight_per_minute == 500
    assert REPORT.as_json()["weightPerMinute"] == 1200


def test_the_first_of_what_was_not_believed_is_told_and_how_many_more_there_are():
    file = {"symbol": "BTC-USD", "timeframe": "1m", "file": "a.zip", "reason": "it is no zip"}
    report = FillReport(archives=ArchiveReport(refused=[file] * 7, trouble="gone"))
    said = StringIO()
    print_fill("sandbox", report, said)
    assert said.getvalue().count("not believed: BTC-USD 1m a.zip: it is no zip\n") == 5
    assert "… and 2 more files\n" in said.getvalue()
    assert "no more bulk files were asked for: gone\n" in said.getvalue()


def test_a_plan_says_what_bulk_files_save_where_there_are_any():
    said, alone = StringIO(), Cost(5270, 10_540, 2.0)
    print_fill_plan("binance", FillPlan(5_259_650, alone, 236_684_250, alone), said)
    assert "archives" not in said.getvalue()
    plan = FillPlan(5_259_650, Cost(140, 280, 0.0), 236_684_250, alone, 120, 315_360_000)
    print_fill_plan("binance", plan, said)
    assert said.getvalue().endswith(
        "archives save 5,130 calls, 2.0 minutes of 5,270 calls, weight 10,540, 2.0 minutes; "
        "they are 120 files, about 315.4 MB\n"
    )
