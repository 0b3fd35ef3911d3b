import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.coverage import missing, union
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from tests.warmup.conftest import SYMBOLS
from warmup.cache.candles import CandleCache
from warmup.cache.pair_state import PairState
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
    assert (call.start_ms, call.end_ms) == (
        expected[39][0],
        expected[55][0],
    )  # and their neighbours
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
    now_ms = sandbox.clock.now_ms()
    sandbox.clock.advance(M1.ceil(now_ms) + 20_000 - now_ms)  # no minute ends meanwhile
    sandbox.faults.add("holes", open_times=list(range(0, sandbox.clock.now_ms(), M1.ms)[-95:-5]))
    repair = CandleRepair(redis, coinbase.pk, rest)
    repair.repair(["BTC-USD"], ["1m"])
    calls = rest.candle_calls
    repair.repair(["BTC-USD"], ["1m"])
    assert (calls, rest.candle_calls) == (1, 1)


def test_a_newest_minute_that_is_missing_may_be_on_its_way(redis, coinbase, open_rest, sandbox):
    last_ms = M1.floor(sandbox.clock.now_ms() - 5000) - M1.ms
    sandbox.clock.advance(last_ms + M1.ms + 6000 - sandbox.clock.now_ms())
    sandbox.faults.add("holes", open_times=[last_ms, last_ms + M1.ms])
    rest = open_rest(coinbase)
    CandleRepair(redis, coinbase.pk, rest).repair(["BTC-USD"], ["1m"])
    cache = CandleCache(redis, coinbase.pk)
    [covered] = cache.coverage("BTC-USD", M1)
    assert covered[1] < last_ms + M1.ms
    sandbox.faults.clear()
    sandbox.clock.advance(40_000)  # until the minute after it has traded
    CandleRepair(redis, coinbase.pk, rest).repair(["BTC-USD"], ["1m"])
    [(from_ms, until_ms)] = cache.coverage("BTC-USD", M1)
    assert from_ms == covered[0]
    assert until_ms >= last_ms + M1.ms


@pytest.mark.parametrize("name", ["exchange", "coinbase"])
def test_what_an_empty_answer_leaves_open_is_fetched_by_the_next_repair(
    name, request, redis, open_rest, sandbox
):
    row = request.getfixturevalue(name)
    sandbox.faults.add("empty", times=3, symbol="BTC-USD", timeframe="1h")
    SmartWarmupService(redis, row.pk, open_rest(row)).warmup(["BTC-USD"], ["1h"])
    cache = CandleCache(redis, row.pk)
    CandleRepair(redis, row.pk, open_rest(row)).repair(["BTC-USD"], ["1h"])
    now_ms = H1.floor(sandbox.clock.now_ms())
    truth = sandbox.market.closed_candles("BTC-USD", H1, now_ms - 100 * H1.ms, now_ms)
    assert [tuple(each.values()) for each in cache.newest("BTC-USD", H1, 100)] == truth
    assert cache.coverage("BTC-USD", H1)[-1][1] == now_ms


def test_of_an_exchange_that_answers_nothing_no_hour_counts_as_empty(
    redis, coinbase, open_rest, sandbox
):
    sandbox.faults.add("empty")
    rest = open_rest(coinbase)
    for _ in range(3):
        CandleRepair(redis, coinbase.pk, rest).repair(["BTC-USD"])
        sandbox.clock.advance(11 * M1.ms)
        rest.clock.forget()
    assert CandleCache(redis, coinbase.pk).coverages(pairs_of(["BTC-USD"])) == [()] * 6


def test_a_row_that_stays_bad_costs_its_own_bar_and_is_asked_for_ever_more_rarely(
    warm, redis, exchange, sandbox, truth
):
    expected = truth("ETH-USD", H1)
    for start, end in ((20, 30), (40, 41), (60, 70)):
        redis.zremrangebyscore(
            f"candles:{exchange.pk}:ETH-USD:1h", expected[start][0], expected[end - 1][0]
        )
    spans = [[expected[a][0], expected[b][0]] for a, b in ((0, 20), (30, 40), (41, 60), (70, 99))]
    redis.set(f"coverage:{exchange.pk}:ETH-USD:1h", json.dumps(spans))
    bad_ms = expected[40][0]
    sandbox.faults.add("bad_rows", way="nan", symbol="ETH-USD", timeframe="1h", open_time=bad_ms)
    report = warm.repair(["ETH-USD"], ["1h"])
    assert report.failures == []
    (left,) = report.left
    assert (left["from"], left["to"]) == (bad_ms, bad_ms + H1.ms)
    assert "not between" in left["reason"]
    cache = CandleCache(redis, exchange.pk)
    covered = cache.coverage("ETH-USD", H1)
    assert missing(covered, expected[0][0], expected[99][0]) == ((bad_ms, bad_ms + H1.ms),)
    calls = []
    for _ in range(40):
        before = warm._rest.candle_calls
        warm.repair(["ETH-USD"], ["1h"])
        calls.append(warm._rest.candle_calls - before)
        sandbox.clock.advance(10 * M1.ms)
        warm._rest.clock.forget()
    assert sum(calls) < 20
    assert sum(calls[20:]) < sum(calls[:20])
    sandbox.faults.clear()
    sandbox.clock.advance(24 * H1.ms)
    warm._rest.clock.forget()
    warm.repair(["ETH-USD"], ["1h"])
    assert missing(cache.coverage("ETH-USD", H1), expected[0][0], expected[99][0]) == ()


def test_what_was_told_empty_once_is_asked_again_half_an_hour_later(
    redis, coinbase, open_rest, sandbox
):
    now_ms = sandbox.clock.now_ms()
    gone = list(range(0, now_ms, M1.ms)[-80:-60])
    sandbox.faults.add("holes", open_times=gone)
    rest = open_rest(coinbase)
    repair = CandleRepair(redis, coinbase.pk, rest)
    repair.repair(["BTC-USD"], ["1m"])
    sandbox.faults.clear()
    cache = CandleCache(redis, coinbase.pk)
    assert not missing(cache.coverage("BTC-USD", M1), gone[0], gone[-1] + M1.ms)
    for minutes, found in ((20, 0), (11, 20), (31, 0)):
        sandbox.clock.advance(minutes * M1.ms)
        rest.clock.forget()
        repair.repair(["BTC-USD"], ["1m"])
        kept = cache.between("BTC-USD", M1, gone[0], gone[-1] + 1)
        assert len(kept) == (20 if found else len(kept))
    assert [each.timestamp for each in kept] == gone


def test_coverage_that_reaches_into_the_future_is_cut_back_and_asked_for_again(
    warm, redis, exchange, sandbox, truth
):
    expected = truth("BTC-USD", M1)
    key = f"coverage:{exchange.pk}:BTC-USD:1m"
    [[from_ms, until_ms]] = json.loads(redis.get(key))
    redis.set(key, json.dumps([[from_ms, until_ms + 4 * M1.ms]]))
    wrong = {
        f"[{until_ms + n * M1.ms},1.0,1.0,1.0,1.0,1.0]": until_ms + n * M1.ms for n in range(4)
    }
    redis.zadd(f"candles:{exchange.pk}:BTC-USD:1m", wrong)
    last = expected[-1][0]
    redis.zremrangebyscore(f"candles:{exchange.pk}:BTC-USD:1m", last, last)
    redis.zadd(f"candles:{exchange.pk}:BTC-USD:1m", {f"[{last},1.0,1.0,1.0,1.0,1.0]": last})
    warm.repair(["BTC-USD"], ["1m"])
    stored = CandleCache(redis, exchange.pk).newest("BTC-USD", M1, 100)
    assert [each.values() for each in stored][-90:] == truth("BTC-USD", M1)[-90:]
    assert json.loads(redis.get(key))[-1][1] <= sandbox.clock.now_ms()


def test_a_refused_candle_is_asked_for_again(warm, redis, exchange, sandbox, truth):
    redis.delete(f"candles:{exchange.pk}:BTC-USD:1h", f"coverage:{exchange.pk}:BTC-USD:1h")
    sandbox.faults.add("bad_rows", way="nan", endpoint="klines", times=1)
    first = warm.repair(["BTC-USD"], ["1h"])
    second = warm.repair(["BTC-USD"], ["1h"])
    assert (first.refused, second.refused) == (1, 0)
    assert second.candles >= 1
    stored = CandleCache(redis, exchange.pk).newest("BTC-USD", H1, 100)
    assert [candle.values() for candle in stored] == truth("BTC-USD", H1)


def test_a_pair_that_fails_is_reported_and_the_others_are_repaired(warm, redis, exchange, sandbox):
    for symbol in SYMBOLS:
        redis.delete(f"coverage:{exchange.pk}:{symbol}:1h")
    sandbox.faults.add("status", status=400, symbol="ETH-USD")
    done = []
    report = warm.repair(SYMBOLS, ["1h"], on_pair=lambda *count: done.append(count))
    assert [failure["symbol"] for failure in report.failures] == ["ETH-USD"]
    assert report.pairs == 2
    assert done[-1] == (3, 3)
