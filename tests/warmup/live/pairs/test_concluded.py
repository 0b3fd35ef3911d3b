"""Bars that no frame marked as closed are held against REST: a call a symbol, once in a while."""

import pytest

from exchanges.rest.reply import Candles
from exchanges.stream.events import Revised
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe
from warmup.cache.candles import CandleCache
from warmup.live.pairs.concluded import AT_ONCE, CHECK_MS, FIRST_CHECK_MS, ConcludedBars

M1 = Timeframe.M1
NOW = M1.floor(1_790_000_000_000)
BTC, EXCHANGE = "BTC-USD", 7


def bar(ago, close=100.0):
    """Return the minute that began so many minutes before now."""
    return Candle(NOW - ago * MINUTE_MS, 100.0, 101.0, 99.0, close, 0.5, M1)


class Rest:
    """An exchange that tells what it is given, and is sure of all of that."""

    lag_ms, settle_ms = 60_000, 5_000

    def __init__(self, candles):
        self.candles, self.asked, self.unsure = candles, [], set()

    def get_candles(self, symbol, timeframe, start_ms, end_ms, **options):
        self.asked.append((symbol, start_ms, end_ms))
        found = Candles(each for each in self.candles if start_ms <= each.timestamp < end_ms)
        found.covered = tuple(
            (each.timestamp, each.close_time_ms)
            for each in found
            if each.timestamp not in self.unsure
        )
        return found


@pytest.fixture
def concluded(redis):
    """Return what compares, after a symbol was new and its first turn has come."""
    made = ConcludedBars(CandleCache(redis, EXCHANGE))
    assert made.due([BTC], NOW - FIRST_CHECK_MS) == []
    assert made.due([BTC], NOW) == [BTC]
    return made


def keep(redis, candles, covered=None):
    stretch = covered or ((candles[0].timestamp, candles[-1].close_time_ms),)
    CandleCache(redis, EXCHANGE).write(BTC, M1, candles, stretch)


def test_the_first_bar_that_is_another_one_is_found(redis, concluded):
    keep(redis, [bar(4), bar(3), bar(2)])
    rest = Rest([bar(4), bar(3, 100.5), bar(2, 100.5)])
    assert concluded.compare(rest, [BTC], NOW) == [Revised(BTC, NOW - 3 * MINUTE_MS)]


def test_a_bar_that_is_only_rounded_otherwise_is_no_other_one(redis, concluded):
    keep(redis, [bar(4), bar(3)])
    assert concluded.compare(Rest([bar(4, 100.0 + 1e-8), bar(3)]), [BTC], NOW) == []


def test_what_is_the_same_is_compared_once(redis, concluded):
    keep(redis, [bar(4), bar(3), bar(2)])
    rest = Rest([bar(4), bar(3), bar(2)])
    assert concluded.compare(rest, [BTC], NOW) == []
    assert concluded.due([BTC], NOW + CHECK_MS - 1) == []
    assert concluded.due([BTC], NOW + CHECK_MS) == [BTC]
    concluded.compare(rest, [BTC], NOW + CHECK_MS)
    (_, _, until_ms), (_, start_ms, _) = rest.asked
    assert until_ms == start_ms == NOW - rest.lag_ms


def test_what_either_is_not_sure_of_is_left_alone(redis, concluded):
    keep(redis, [bar(4), bar(3)], covered=((bar(4).timestamp, bar(4).close_time_ms),))
    rest = Rest([bar(4, 100.5), bar(3, 100.5), bar(2)])
    rest.unsure = {bar(4).timestamp}
    assert concluded.compare(rest, [BTC], NOW) == []


def test_a_bar_that_was_told_to_be_none_and_is_one_is_found(redis, concluded):
    keep(redis, [bar(4), bar(2)])
    rest = Rest([bar(4), bar(3), bar(2)])
    assert concluded.compare(rest, [BTC], NOW) == [Revised(BTC, NOW - 3 * MINUTE_MS)]


def test_few_are_compared_at_once_who_waits_longest_first(redis):
    made = ConcludedBars(CandleCache(redis, EXCHANGE))
    names = [f"S{at}-USD" for at in range(AT_ONCE + 2)]
    for at, name in enumerate(names):
        made.due([name], NOW + at)
    first = made.due(names, NOW + FIRST_CHECK_MS + 100)
    assert first == names[:AT_ONCE]
    made.compare(Rest([]), first, NOW + FIRST_CHECK_MS + 100)
    assert made.due(names, NOW + FIRST_CHECK_MS + 100) == names[AT_ONCE:]
