"""What closes goes from the cache into history: nothing lost, nothing doubled, news alone."""

import pytest

from history.following.news import GROUP
from history.models import HistoryFile, KeptHistory
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.history.followed.told import Copied, Told
from tests.warmup.runners import MIDNIGHT_MS, MINUTE_MS, make_row, serve, true_rows

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_MS = 60 * MINUTE_MS
SYMBOLS = ["BTC-USD", "ETH-USD"]
SHORT = (Timeframe.H1, Timeframe.M5, Timeframe.M1)
BEGAN_MS = MIDNIGHT_MS - 6 * HOUR_MS
PAIR = Pair("BTC-USD", Timeframe.M1)


@pytest.fixture(scope="module")
def shared():
    with serve(speed=0, start_ms=MIDNIGHT_MS + 7 * MINUTE_MS) as sandbox:
        yield sandbox


@pytest.fixture
def told(redis, shared, folder):
    row = make_row(shared, "sandbox", SYMBOLS)
    KeptHistory.objects.create(exchange=row, since="2026-11-18", timeframes=["1h", "5m", "1m"])
    told = Told(redis, shared, row, SYMBOLS, SHORT)
    told.close(BEGAN_MS, MIDNIGHT_MS - HOUR_MS)
    return told


@pytest.fixture
def copied(told, folder):
    return Copied(told, folder)


def test_first_all_that_the_cache_holds_is_copied_then_what_has_news(told, copied):
    copied.copy()
    assert copied.faults(BEGAN_MS, MIDNIGHT_MS - HOUR_MS) == []
    told.close(MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS - HOUR_MS + 5 * MINUTE_MS)
    assert copied.copy() == 4  # no hour ended
    assert copied.faults(BEGAN_MS, MIDNIGHT_MS - HOUR_MS + 5 * MINUTE_MS) == []
    told.close(MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS)
    copied.copy()
    assert copied.faults(BEGAN_MS, MIDNIGHT_MS) == []
    before = list(HistoryFile.objects.values_list("changed_at"))
    assert copied.copy() == 0
    assert list(HistoryFile.objects.values_list("changed_at")) == before


def test_what_was_read_and_not_acknowledged_is_read_again(told, copied):
    copied.copy()
    told.close(MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS)
    lost = copied.news.read()  # by a process that is killed before it has written
    assert lost.since and lost.ids
    copied.copy()
    assert copied.faults(BEGAN_MS, MIDNIGHT_MS) == []
    assert told.redis.xpending(keys.events(told.row.pk), GROUP)["pending"] == 0


def test_a_bar_that_is_healed_with_another_value_is_written_again(told, copied):
    copied.copy()
    (old,) = true_rows(told.sandbox, told.row, *PAIR, BEGAN_MS, BEGAN_MS + MINUTE_MS)
    healed = [*old[:5], old[5] + 1, *old[6:]]
    told.write(PAIR, [healed], (BEGAN_MS, BEGAN_MS + MINUTE_MS))
    assert copied.copy() == 1
    assert copied.store.read(PAIR, BEGAN_MS, BEGAN_MS + MINUTE_MS).rows == [healed]


def test_a_bar_beside_what_is_new_is_compared_too_where_nobody_tells_of_it(told, copied):
    copied.copy()
    at = MIDNIGHT_MS - HOUR_MS - 2 * MINUTE_MS
    (old,) = true_rows(told.sandbox, told.row, *PAIR, at, at + MINUTE_MS)
    repaired = [*old[:5], old[5] + 1, *old[6:]]
    told.write(PAIR, [repaired], (at, at + MINUTE_MS), told=False)
    told.close(MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS - HOUR_MS + MINUTE_MS)
    copied.copy()
    assert copied.store.read(PAIR, at, at + MINUTE_MS).rows == [repaired]


def test_four_columns_stay_where_the_same_bar_comes_without_them(told, copied):
    copied.copy()
    stretch = BEGAN_MS, BEGAN_MS + 3 * MINUTE_MS
    rows = copied.store.read(PAIR, *stretch).rows
    assert {len(row) for row in rows} == {10}
    told.redis.delete(keys.candles(told.row.pk, *PAIR))
    told.write(PAIR, [row[:6] for row in rows], stretch)
    copied.copy()
    assert copied.store.read(PAIR, *stretch).rows == rows


@pytest.mark.parametrize("how", ["flushed", "trimmed", "trimmed whole", "group gone"])
def test_where_events_are_lost_all_that_the_cache_holds_is_compared(told, copied, how):
    copied.copy()
    key = keys.events(told.row.pk)
    if how == "flushed":
        told.redis.flushall()
        told.close(MIDNIGHT_MS - 2 * HOUR_MS, MIDNIGHT_MS - HOUR_MS)
    (old,) = true_rows(told.sandbox, told.row, *PAIR, MIDNIGHT_MS - 2 * HOUR_MS,
                       MIDNIGHT_MS - 2 * HOUR_MS + MINUTE_MS)  # fmt: skip
    healed = [*old[:5], old[5] + 1, *old[6:]]
    told.write(PAIR, [healed], (old[0], old[0] + MINUTE_MS))
    told.close(MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS)
    if how == "group gone":
        told.redis.xgroup_destroy(key, GROUP)
    elif how != "flushed":
        told.redis.xtrim(key, 0 if "whole" in how else 10, approximate=False)
    copied.copy()
    assert copied.store.read(PAIR, old[0], old[0] + MINUTE_MS).rows == [healed]
    assert all("other rows" in each and str(PAIR) in each
               for each in copied.faults(BEGAN_MS, MIDNIGHT_MS))  # fmt: skip


def test_what_was_read_is_trimmed_before_it_is_written(told, copied):
    copied.copy()
    told.close(MIDNIGHT_MS - HOUR_MS, MIDNIGHT_MS)
    copied.news.read()
    told.redis.xtrim(keys.events(told.row.pk), 0, approximate=False)
    assert copied.news.read().is_gap
    copied.copy()
    assert copied.faults(BEGAN_MS, MIDNIGHT_MS) == []


def test_what_the_cache_does_not_vouch_for_is_left_out(told, copied):
    told.redis.zadd(keys.candles(told.row.pk, *PAIR), {b"[1,2]": BEGAN_MS + 1})
    other = Pair("ETH-USD", Timeframe.M1)
    told.redis.delete(keys.candles(told.row.pk, *other))
    copied.copy()
    for pair in (PAIR, other):
        assert copied.store.coverage(pair) == ()
    assert copied.store.coverage(Pair("ETH-USD", Timeframe.M5)) != ()


def test_what_a_clock_that_was_ahead_wrote_of_the_future_is_left_out(told, copied, monkeypatch):
    behind_ms = MIDNIGHT_MS - 3 * HOUR_MS
    monkeypatch.setattr("history.following.copying.time_now_ms", lambda *_: behind_ms)
    copied.copy()
    assert copied.store.coverage(PAIR)[-1][1] <= behind_ms
