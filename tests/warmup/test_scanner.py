import time

import pytest

from livermore.market.candle import Candle
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.cache.candles import CandleCache
from warmup.scanner import CandleStatusResult, CandleStatusScanner

H1 = Timeframe.H1
NOW_HOUR = H1.floor(int(time.time() * 1000))


def fill(redis, symbol, timeframe, count, covered=()):
    end = timeframe.floor(NOW_HOUR)
    candles = [
        Candle(end - number * timeframe.ms, 1.0, 1.0, 1.0, 1.0, 0.0, timeframe)
        for number in range(1, count + 1)
    ]
    CandleCache(redis, 7).write(symbol, timeframe, candles, covered)


def periods_back(count):
    return [(NOW_HOUR - count * H1.ms, NOW_HOUR)]


def test_sixty_candles_are_sufficient_and_one_less_is_not(redis):
    fill(redis, "BTC-USD", H1, 60)
    fill(redis, "ETH-USD", H1, 59)
    results = CandleStatusScanner(redis, 7).scan_exchange(["BTC-USD", "ETH-USD"], ["1h"])
    assert results == [
        CandleStatusResult("BTC-USD", "1h", 60, True),
        CandleStatusResult("ETH-USD", "1h", 59, False),
    ]


def test_every_pair_is_scanned_the_longest_timeframe_first(redis):
    results = CandleStatusScanner(redis, 7).scan_exchange(["BTC-USD", "ETH-USD"])
    assert [result.timeframe for result in results[::2]] == ["1d", "4h", "1h", "15m", "5m", "1m"]
    assert [result.symbol for result in results[:2]] == ["BTC-USD", "ETH-USD"]
    assert [result.timeframe for result in results[1::2]] == list(LONGEST_FIRST)


def test_another_exchange_does_not_count(redis):
    fill(redis, "BTC-USD", H1, 100)
    [result] = CandleStatusScanner(redis, 8).scan_exchange(["BTC-USD"], ["1h"])
    assert result.cached_count == 0


def test_a_pair_whose_history_is_short_is_exhausted(redis):
    fill(redis, "NEW-USD", H1, 20, periods_back(1000))
    [result] = CandleStatusScanner(redis, 7).scan_exchange(["NEW-USD"], ["1h"])
    assert (result.sufficient, result.exhausted, result.needs_fetching) == (False, True, False)


def test_a_short_pair_that_was_asked_for_its_newest_candles_only_is_not_exhausted(redis):
    fill(redis, "QUIET-USD", H1, 20, periods_back(100))
    [result] = CandleStatusScanner(redis, 7).scan_exchange(["QUIET-USD"], ["1h"])
    assert result.needs_fetching


@pytest.mark.parametrize(("hours", "exhausted"), [(0, True), (39, True), (40, False), (900, False)])
def test_whether_history_is_short_goes_by_the_time_that_is_told(redis, hours, exhausted):
    fill(redis, "NEW-USD", H1, 20, periods_back(1000))
    told = []

    def now_ms():  # of an exchange to which this machine's clock is off
        told.append(hours)
        return NOW_HOUR + hours * H1.ms

    scanner = CandleStatusScanner(redis, 7, now_ms)
    [result] = scanner.scan_exchange(["NEW-USD"], ["1h"])
    assert result.exhausted is exhausted  # with 40 more it could have sixty
    assert told == [hours]


def test_where_no_pair_is_short_nobody_is_asked_for_the_time(redis):
    fill(redis, "BTC-USD", H1, 60)
    scanner = CandleStatusScanner(redis, 7, lambda: 1 / 0)
    assert [result.exhausted for result in scanner.scan_exchange(["BTC-USD", "ETH-USD"])]


def test_an_exhausted_pair_is_asked_again_once_it_could_have_enough(redis):
    longer_ago = [(NOW_HOUR - 1000 * H1.ms, NOW_HOUR - 41 * H1.ms)]
    fill(redis, "NEW-USD", H1, 20, longer_ago)
    [result] = CandleStatusScanner(redis, 7).scan_exchange(["NEW-USD"], ["1h"])
    assert result.needs_fetching
