import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.coverage import union
from livermore.market.timeframe import Timeframe
from tests.warmup.conftest import SYMBOLS
from warmup.cache import CandleCache, PairState
from warmup.repair import CandleRepair, missing_ranges
from warmup.service import SmartWarmupService

H1, M1 = Timeframe.H1, Timeframe.M1
NOW = H1.floor(1_790_000_000_000)


def hours_ago(first, last):
    return (NOW - first * H1.ms, NOW - last * H1.ms)


def state(oldest_hours_ago=None, coverage=()):
    oldest = None if oldest_hours_ago is None else NOW - oldest_hours_ago * H1.ms
    return PairState(1, oldest, union(coverage))


def test_an_unknown_pair_misses_its_newest_hundred():
    assert missing_ranges(state(), H1, NOW + 5) == (hours_ago(100, 0),)


def test_the_window_reaches_back_to_the_oldest_candle():
    assert missing_ranges(state(250), H1, NOW) == (hours_ago(250, 0),)


def test_the_window_is_never_longer_than_a_thousand():
    assert missing_ranges(state(5000), H1, NOW) == (hours_ago(1000, 0),)


def test_the_window_is_never_shorter_than_a_hundred():
    assert missing_ranges(state(10), H1, NOW) == (hours_ago(100, 0),)


def test_holes_and_the_stale_end_are_what_is_missing():
    known = [hours_ago(100, 60), hours_ago(50, 3)]
    assert missing_ranges(state(100, known), H1, NOW) == (hours_ago(60, 50), hours_ago(3, 0))


@given(st.lists(st.tuples(st.integers(1, 1200), st.integers(0, 60)), max_size=8))
def test_what_is_missing_and_what_is_covered_make_the_window(spans):
    known = [hours_ago(first, max(first - length, 0)) for first, length in spans]
    found = missing_ranges(state(300, known), H1, NOW)
    [window] = [hours_ago(300, 0)]
    together = union([*found, *known])
    assert any(start <= window[0] and window[1] <= end for start, end in together)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))


@pytest.fixture
def warm(redis, exchange, rest):
    SmartWarmupService(redis, exchange.pk, rest).warmup(SYMBOLS)
    return CandleRepair(redis, exchange.pk, rest)


def cut(redis, exchange, symbol, timeframe, start_ms, end_ms):
    """Make a hole that the cache knows of."""
    redis.zremrangebyscore(f"candles:{exchange.pk}:{symbol}:{timeframe}", start_ms, end_ms - 1)
    key = f"coverage:{exchange.pk}:{symbol}:{timeframe}"
    [[covered_from, covered_to]] = json.loads(redis.get(key))
    redis.set(key, json.dumps([[covered_from, start_ms], [end_ms, covered_to]]))


def test_after_a_warmup_nothing_is_missing(warm):
    assert warm.find(SYMBOLS) == []


def test_a_hole_in_the_middle_is_fetched_and_nothing_else(warm, redis, exchange, sandbox, truth):
    expected = truth("ETH-USD", H1)
    cut(redis, exchange, "ETH-USD", "1h", expected[40][0], expected[55][0])
    sandbox.reset()
    report = warm.repair(SYMBOLS, ["1h"])
    [call] = [call for call in sandbox.requests.candles if call.symbol == "ETH-USD"]
    assert (call.start_ms, call.end_ms) == (expected[40][0], expected[55][0] - 1)
    assert report.failures == []
    stored = CandleCache(redis, exchange.pk).newest("ETH-USD", H1, 100)
    assert [candle.values() for candle in stored] == expected


def test_a_stale_set_is_brought_up_to_date(warm, redis, exchange, sandbox, truth):
    sandbox.clock.advance(30 * M1.ms)
    warm._rest.clock.forget()
    report = warm.repair(["BTC-USD"], ["1m"])
    stored = CandleCache(redis, exchange.pk).newest("BTC-USD", M1, 100)
    assert [candle.values() for candle in stored] == truth("BTC-USD", M1)
    assert report.candles == 30


def test_a_stretch_without_trades_is_asked_for_once(redis, coinbase, open_rest, sandbox):
    rest = open_rest(coinbase)
    sandbox.faults.add("holes", open_times=list(range(0, sandbox.clock.now_ms(), M1.ms)[-95:-5]))
    repair = CandleRepair(redis, coinbase.pk, rest)
    repair.repair(["BTC-USD"], ["1m"])
    calls = rest.candle_calls
    repair.repair(["BTC-USD"], ["1m"])
    assert (calls, rest.candle_calls) == (1, 1)


def test_a_newest_minute_that_is_missing_may_be_on_its_way(redis, coinbase, open_rest, sandbox):
    last_ms = M1.floor(sandbox.clock.now_ms() - 5000) - M1.ms
    sandbox.clock.advance(last_ms + M1.ms + 6000 - sandbox.clock.now_ms())
    sandbox.faults.add("holes", open_times=[last_ms])
    rest = open_rest(coinbase)
    CandleRepair(redis, coinbase.pk, rest).repair(["BTC-USD"], ["1m"])
    [covered] = CandleCache(redis, coinbase.pk).coverage("BTC-USD", M1)
    assert covered[1] == last_ms
    sandbox.faults.clear()
    assert CandleRepair(redis, coinbase.pk, rest).repair(["BTC-USD"], ["1m"]).candles == 1


def test_a_refused_candle_is_asked_for_again(warm, redis, exchange, sandbox, truth):
    redis.delete(f"candles:{exchange.pk}:BTC-USD:1h", f"coverage:{exchange.pk}:BTC-USD:1h")
    sandbox.faults.add("bad_rows", way="nan", endpoint="klines", times=1)
    first = warm.repair(["BTC-USD"], ["1h"])
    second = warm.repair(["BTC-USD"], ["1h"])
    assert (first.refused, second.refused) == (1, 0)
    assert second.candles >= 1
    stored = CandleCache(redis, exchange.pk).newest("BTC-USD", H1, 100)
    assert [candle.values() for candle in stored] == truth("BTC-USD", H1)


def test_a_pair_that_fails_is_reported_and_the_others_are_mended(warm, redis, exchange, sandbox):
    for symbol in SYMBOLS:
        redis.delete(f"coverage:{exchange.pk}:{symbol}:1h")
    sandbox.faults.add("status", status=400, symbol="ETH-USD")
    done = []
    report = warm.repair(SYMBOLS, ["1h"], on_pair=lambda *count: done.append(count))
    assert [failure["symbol"] for failure in report.failures] == ["ETH-USD"]
    assert report.pairs == 2
    assert done[-1] == (3, 3)
