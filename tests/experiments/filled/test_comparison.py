"""What the experiment on history looks for, it would find."""

from random import Random

import numpy
import pytest

from history.manifest import coverage_of
from history.models import PairHistory
from history.months import Month
from history.store.store import HistoryStore
from livermore.market.candle import Candle
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.experiments.filled.comparison import Comparison, differences
from tests.experiments.filled.spoiling import ARCHIVE, archive_faults
from tests.experiments.filled.tools import faults_of_tools
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve, true_rows

BTC = "BTC-USD"
HOURS = Pair(BTC, Timeframe.H1)
DAY_MS = Timeframe.D1.ms
SINCE_MS = MIDNIGHT_MS - 3 * DAY_MS
TRUE = numpy.array([[60, 1.0, numpy.nan], [120, 2.0, 7.0], [180, 3.0, numpy.nan]])


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (TRUE, []),
        (TRUE[[0, 2]], ["1 candles are missing: 120"]),
        (TRUE[[0, 1, 1, 2]], ["1 candles are there twice: 120"]),
        (TRUE[[1, 0, 2]], ["its rows are not sorted"]),
        (numpy.add(TRUE, [[0, 0.5, 0], [0, 0, 1], [0, 0, 0]]),
         ["2 candles are of other values: 60, 120"]),
        (numpy.add(TRUE, [[0, 0, 0], [0, 0, 0], [60, 0, 0]]),
         ["1 candles are missing: 180", "1 candles are not in the market: 240"]),
        (TRUE[:0], ["3 candles are missing: 60, 120, 180"]),
    ],
)  # fmt: skip
def test_each_kind_of_difference_is_told(found, says):
    assert list(differences(found, TRUE)) == says


@pytest.mark.django_db
def test_files_and_what_is_claimed_of_them_are_compared_with_the_truth(redis, tmp_path, settings):
    folder = tmp_path / "var" / "history"
    settings.HISTORY = str(folder)
    with serve(speed=0, start_ms=MIDNIGHT_MS + DAY_MS) as sandbox:
        row = make_row(sandbox, "sandbox", [BTC])
        comparison = Comparison(sandbox, row, folder, [BTC], SINCE_MS, [Timeframe.H1])
        store = HistoryStore(comparison.place, row)
        rows = true_rows(sandbox, row, *HOURS, SINCE_MS, MIDNIGHT_MS)
        candles = [Candle.of_values(each, Timeframe.H1) for each in rows]
        store.write(HOURS, candles, ((SINCE_MS, MIDNIGHT_MS),))
        assert list(comparison.faults_when_complete(MIDNIGHT_MS, MIDNIGHT_MS)) == []
        assert comparison.candles == len(rows)
        assert list(faults_of_tools(comparison, tmp_path, [Timeframe.H1])) == []
        later = list(comparison.faults_when_complete(MIDNIGHT_MS + DAY_MS, MIDNIGHT_MS - DAY_MS))
        assert later == [
            "BTC-USD 1h: 24 bars are unknown",
            f"BTC-USD 1h: it claims what has not ended: {MIDNIGHT_MS}",
        ]
        found = PairHistory.objects.get()
        found.coverage = [(SINCE_MS, MIDNIGHT_MS - DAY_MS)]
        found.save()
        assert coverage_of(found.coverage) == comparison.coverage(HOURS)
        text = f"24 candles are not in the market: {MIDNIGHT_MS - DAY_MS}"
        assert text in "".join(comparison.faults(HOURS))
        assert list(comparison.faults(HOURS, is_written=True)) == []
        (said, *_) = faults_of_tools(comparison, tmp_path, [Timeframe.H1])
        assert said.startswith("pandas, 1h: 72 rows")


def test_each_way_of_spoiling_a_file_is_drawn_and_twice_the_same():
    pairs, months = pairs_of([BTC], LONGEST_FIRST), [Month(2026, each) for each in range(1, 13)]
    found = archive_faults(Random(1), pairs, months)
    assert {each["way"] for each in found} == {each["way"] for each in ARCHIVE}
    assert found == archive_faults(Random(1), pairs, months)
