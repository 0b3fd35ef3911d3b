"""Candles that history and cache have together: what both know, and never more."""

import pytest

from exchanges.models import Exchange
from history.months import Month
from history.reading import FIRST_TRADE_MS, Reading, cached_in
from history.store.reading import Stretch
from history.store.store import HistoryStore
from livermore.market.candle import Candle
from livermore.market.coverage import missing, union
from livermore.market.derived import DERIVED
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache

pytestmark = pytest.mark.django_db(transaction=True)

M1, H1, D1 = Timeframe.M1, Timeframe.H1, Timeframe.D1
BEGIN = Month(2026, 7).start_ms - 10 * H1.ms  # two months are touched
BTC = "BTC-USD"


@pytest.fixture
def row(db):
    return Exchange.objects.get(name="sandbox")


@pytest.fixture
def store(folder, row):
    return HistoryStore(folder, row)


def candles(first, last, timeframe=H1, price=100.5):
    """Return the candles of the bars `[first, last)`, counted from where all begins."""
    return [
        Candle(BEGIN + at * timeframe.ms, price, price + 2, price - 1, price, 0.25, timeframe)
        for at in range(first, last)
    ]


def stretch(first, last, timeframe=H1):
    return BEGIN + first * timeframe.ms, BEGIN + last * timeframe.ms


def nothing(timeframe):
    return Stretch([], ())


def of(*kept):
    """Return a cache that has candles of some bars of one timeframe, each with its coverage."""
    rows = [each.row() for found, _ in kept for each in found]
    return lambda timeframe: (
        Stretch(rows, union(covered for _, covered in kept)) if timeframe == H1 else Stretch([], ())
    )


def opened(found):
    return [(row[0] - BEGIN) // H1.ms for row in found.rows]


def test_history_and_cache_are_one_and_the_cache_wins(store):
    store.write(Pair(BTC, H1), candles(0, 30), (stretch(0, 30),))
    newer = of((candles(20, 40, price=200.5), stretch(20, 40)))
    found = Reading(store, BTC, newer).read(H1, *stretch(0, 50))
    assert opened(found) == list(range(40))
    assert [row[1] for row in found.rows] == [100.5] * 20 + [200.5] * 20
    assert found.covered == (stretch(0, 40),)
    assert found.source(*stretch(0, 50)) == "cache+history"
    assert found.source(*stretch(0, 20)) == "history"
    assert found.source(*stretch(20, 30)) == "cache"


def test_what_neither_knows_is_unknown(store):
    store.write(Pair(BTC, H1), candles(0, 5), (stretch(0, 5),))
    newer = of((candles(8, 12), stretch(8, 12)))
    found = Reading(store, BTC, newer).read(H1, *stretch(-3, 20))
    assert missing(found.covered, *stretch(-3, 20)) == (
        stretch(-3, 0), stretch(5, 8), stretch(12, 20),
    )  # fmt: skip
    assert opened(found) == [0, 1, 2, 3, 4, 8, 9, 10, 11]


def test_a_row_of_the_cache_that_nobody_vouches_for_is_none(store):
    newer = of((candles(0, 5), stretch(2, 4)))
    assert opened(Reading(store, BTC, newer).read(H1, *stretch(0, 5))) == [2, 3]


def test_longer_bars_are_made_of_shorter_ones_where_these_are_complete(store):
    minutes = [each for each in candles(0, 310, M1) if each.timestamp != BEGIN + 70 * M1.ms]
    store.write(Pair(BTC, M1), minutes, (stretch(0, 130, M1), stretch(131, 310, M1)))
    reading = Reading(store, BTC, nothing)
    hours = reading.read(H1, *stretch(0, 5))
    assert opened(hours) == [0, 1, 3, 4]
    assert [row[5] for row in hours.rows] == [15.0, 14.75, 15.0, 15.0]
    assert hours.covered == (stretch(0, 2), stretch(3, 5))
    assert opened(reading.read(DERIVED["2h"], *stretch(0, 6))) == [0]
    assert Reading(store, BTC, nothing, most_parts=100).read(H1, *stretch(0, 5)).rows == []


def test_bars_that_are_kept_as_such_are_not_made(store):
    store.write(Pair(BTC, M1), candles(0, 240, M1, 5.5), (stretch(0, 240, M1),))
    store.write(Pair(BTC, H1), candles(0, 2), (stretch(0, 2),))
    found = Reading(store, BTC, nothing).read(H1, *stretch(0, 4))
    assert [row[1] for row in found.rows] == [100.5, 100.5, 5.5, 5.5]


def test_the_oldest_and_the_newest_are_looked_for_as_far_as_they_are_known(store):
    quiet = [each for each in candles(0, 2000) if each.timestamp % (4 * H1.ms) == 0]
    store.write(Pair(BTC, H1), quiet, ((FIRST_TRADE_MS, stretch(0, 2000)[1]),))
    reading = Reading(store, BTC, nothing)
    oldest = reading.oldest(H1, 0, stretch(0, 2000)[1], 10)
    assert oldest.rows[:10] == [each.row() for each in quiet[:10]]
    assert not missing(oldest.covered, 0, oldest.rows[9][0])
    newest = reading.newest(H1, stretch(0, 2000)[1], 300)
    assert newest.rows[-300:] == [each.row() for each in quiet[-300:]]
    assert not missing(newest.covered, newest.rows[-300][0], stretch(0, 2000)[1])


def test_pages_are_months_and_all_that_is_asked_for(store):
    store.write(Pair(BTC, H1), candles(0, 2000), (stretch(0, 2000),))
    pages = list(Reading(store, BTC, nothing).pages(H1, *stretch(-5000, 3000)))
    assert [len(page.rows) for page in pages] == [0, 10, 744, 744, 502, 0]
    assert sum(len(page.rows) for page in pages) == 2000
    held = Reading(store, BTC, nothing).held(H1)
    assert held == (Month(2026, 6).start_ms, Month(2026, 10).start_ms)


def test_what_redis_has_is_read_with_what_was_told_empty(redis, store, row):
    cache = CandleCache(redis, row.pk)
    cache.write(BTC, H1, candles(0, 5), (stretch(0, 5),))
    found = Reading(None, BTC, cached_in(cache, BTC, 0)).read(H1, *stretch(0, 9))
    assert opened(found) == [0, 1, 2, 3, 4]
    assert found.covered == (stretch(0, 5),)
    assert found.source(*stretch(0, 9)) == "cache"
