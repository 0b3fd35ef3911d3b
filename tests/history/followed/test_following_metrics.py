"""What Prometheus is told of history."""

from datetime import date

import pytest

from exchanges.models import Exchange
from history.following.metrics import count
from history.models import HistoryFile, KeptHistory, PairHistory
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import MIDNIGHT_MS

pytestmark = pytest.mark.django_db

HOUR_MS, DAY_MS = Timeframe.H1.ms, Timeframe.D1.ms
SINCE_MS = MIDNIGHT_MS - 10 * DAY_MS


def have(row, symbol, timeframe, coverage, size=0):
    pair = PairHistory.objects.create(
        store="here", exchange=row, symbol=symbol, timeframe=timeframe, coverage=coverage
    )
    HistoryFile.objects.create(pair=pair, month="2026-11", path=symbol, rows=7, size=size)


def test_pairs_that_are_behind_or_holed_are_counted_and_what_files_hold():
    row = Exchange.objects.get(name="sandbox")
    symbols = ["A-USD", "B-USD", "C-USD"]
    kept = KeptHistory.objects.create(
        exchange=row, since=date(2026, 11, 9), symbols=symbols, timeframes=["1h"]
    )
    now_ms = MIDNIGHT_MS + 3 * HOUR_MS
    have(row, "A-USD", "1h", [(SINCE_MS, now_ms)], 100)
    have(row, "B-USD", "1h", [(SINCE_MS, MIDNIGHT_MS)], 20)
    have(row, "C-USD", "1h", [(SINCE_MS, SINCE_MS + DAY_MS), (MIDNIGHT_MS, now_ms)])
    for symbol in kept.symbols:
        have(row, symbol, "1d", [(SINCE_MS, MIDNIGHT_MS)])
    assert count(kept, now_ms + 60_000) == {
        "history_pairs": 6,
        "history_pairs_behind": 1,
        "history_pairs_holed": 1,
        "history_age_seconds": 60,
        "history_candles": 42,
        "history_bytes": 120,
    }


def test_where_nothing_was_filled_yet_there_is_no_age():
    row = Exchange.objects.get(name="sandbox")
    kept = KeptHistory.objects.create(exchange=row, since=date(2026, 11, 9), symbols=["A-USD"])
    assert "history_age_seconds" not in count(kept, MIDNIGHT_MS)
    assert count(kept, MIDNIGHT_MS)["history_pairs_behind"] == 6
