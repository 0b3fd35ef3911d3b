import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livermore.market.candle import Candle
from livermore.market.columns import read_columns
from livermore.market.coverage import union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache, CandleWrite

M1 = Timeframe.M1
T0 = 1_790_000_040_000  # a minute's boundary


def minute(number, close=2.0):
    return Candle(T0 + number * M1.ms, 1.5, 3.0, 1.0, close, 10.0, M1)


def minutes(first, last):
    return [minute(number) for number in range(first, last)]


def stretch(first, last):
    return (T0 + first * M1.ms, T0 + last * M1.ms)


@pytest.fixture
def cache(redis):
    return CandleCache(redis, 7)


def test_a_candle_is_stored_as_the_array_that_readers_know(cache, redis):
    cache.write("BTC-USD", M1, [minute(0)])
    [(member, score)] = redis.zrange("candles:7:BTC-USD:1m", 0, -1, withscores=True)
    assert json.loads(member) == [T0, 1.5, 3.0, 1.0, 2.0, 10.0]
    assert score == T0


def test_candles_come_back_as_they_went_in(cache):
    cache.write("BTC-USD", M1, minutes(0, 5))
    assert cache.newest("BTC-USD", M1, 100) == minutes(0, 5)
    assert cache.newest("BTC-USD", M1, 2) == minutes(3, 5)
    assert cache.newest("BTC-USD", M1, 0) == []
    assert cache.between("BTC-USD", M1, *stretch(1, 3)) == minutes(1, 3)


def test_a_second_candle_of_the_same_time_replaces_the_first(cache):
    cache.write("BTC-USD", M1, [minute(0, close=2.0)])
    cache.write("BTC-USD", M1, [minute(0, close=2.5)])
    assert cache.newest("BTC-USD", M1, 10) == [minute(0, close=2.5)]


def test_no_more_than_a_thousand_candles_are_kept_the_newest(cache):
    cache.write("BTC-USD", M1, minutes(0, CANDLES_KEPT + 20))
    kept = cache.newest("BTC-USD", M1, 2 * CANDLES_KEPT)
    assert kept == minutes(20, CANDLES_KEPT + 20)


def test_coverage_never_speaks_of_candles_that_were_trimmed(cache):
    cache.write("BTC-USD", M1, minutes(0, 600), [stretch(-50, 600)])
    cache.write("BTC-USD", M1, minutes(600, 1200), [stretch(600, 1200)])
    assert cache.coverage("BTC-USD", M1) == (stretch(200, 1200),)


def test_trimming_without_new_coverage_cuts_it_too(cache):
    cache.write("BTC-USD", M1, minutes(0, 1000), [stretch(0, 1000)])
    cache.write("BTC-USD", M1, [minute(1000)])
    assert cache.coverage("BTC-USD", M1) == (stretch(1, 1000),)


def test_an_answer_that_lacks_a_candle_deletes_none(cache):
    cache.write("BTC-USD", M1, minutes(0, 10))
    cache.write("BTC-USD", M1, [minute(5, close=2.5)], [stretch(3, 7)])
    stored = cache.newest("BTC-USD", M1, 20)
    assert stored == [*minutes(0, 5), minute(5, close=2.5), *minutes(6, 10)]


@pytest.mark.parametrize("stored", ["oops", "null", '{"a":1}', "[1]"])
def test_coverage_that_cannot_be_read_counts_for_nothing_and_is_replaced(cache, redis, stored):
    cache.write("BTC-USD", M1, [minute(0)])
    redis.set("coverage:7:BTC-USD:1m", stored)
    assert cache.coverage("BTC-USD", M1) == ()


def test_coverage_without_any_candle_is_not_believed(cache, redis):
    cache.write("BTC-USD", M1, minutes(0, 9), [stretch(0, 9)])
    redis.delete("candles:7:BTC-USD:1m")
    [state] = cache.states([Pair("BTC-USD", M1)])
    assert (state.count, state.coverage) == (0, ())


def test_what_was_known_of_deleted_candles_is_not_believed_of_those_written_next(cache, redis):
    cache.write("BTC-USD", M1, minutes(0, 9), [stretch(0, 9)])
    redis.delete("candles:7:BTC-USD:1m")
    cache.write("BTC-USD", M1, minutes(5, 12), [stretch(5, 12)])
    assert cache.coverage("BTC-USD", M1) == (stretch(5, 12),)


def test_an_empty_answer_extends_coverage(cache, redis):
    cache.write("BTC-USD", M1, [], [stretch(0, 3)])
    assert json.loads(redis.get("coverage:7:BTC-USD:1m")) == [list(stretch(0, 3))]
    assert cache.newest("BTC-USD", M1, 5) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=12))
def test_coverage_is_the_union_of_all_that_was_covered(cache, redis, stretches):
    redis.delete("coverage:7:BTC-USD:1m")
    spans = [stretch(start, start + length) for start, length in stretches]
    for span in spans:
        cache.write("BTC-USD", M1, [], [span])
    assert cache.coverage("BTC-USD", M1) == union(spans)


def test_the_order_of_arrival_does_not_matter(cache):
    shuffled = minutes(0, 50)
    Random(1).shuffle(shuffled)
    for candle in shuffled:
        cache.write("BTC-USD", M1, [candle])
    assert cache.newest("BTC-USD", M1, 100) == minutes(0, 50)


def test_many_pairs_are_written_and_counted_in_one_go(cache):
    symbols = [f"S{number}-USD" for number in range(1500)]
    cache.write_many(CandleWrite(symbol, M1, minutes(0, 2)) for symbol in symbols)
    assert cache.counts([(symbol, M1) for symbol in [*symbols, "NONE-USD"]]) == [2] * 1500 + [0]


def test_a_server_that_forgot_its_scripts_is_written_to_all_the_same(cache, redis):
    cache.write("BTC-USD", M1, [minute(0)])
    redis.script_flush()
    cache.write("BTC-USD", M1, [minute(1)])
    assert cache.newest("BTC-USD", M1, 5) == minutes(0, 2)


def test_the_state_of_a_pair_tells_its_ends(cache):
    cache.write("BTC-USD", M1, minutes(3, 9), [stretch(0, 9)])
    known, unknown = cache.states([("BTC-USD", M1), ("ETH-USD", M1)])
    assert (known.count, known.oldest) == (6, stretch(3, 8)[0])
    assert known.coverage == (stretch(0, 9),)
    assert (unknown.count, unknown.oldest, unknown.coverage) == (0, None, ())


def test_closed_candles_never_expire(cache, redis):
    cache.write("BTC-USD", M1, [minute(0)], [stretch(0, 1)])
    assert redis.ttl("candles:7:BTC-USD:1m") == redis.ttl("coverage:7:BTC-USD:1m") == -1


def test_the_open_candle_is_apart_and_expires_two_bars_after_it_opened(cache, redis):
    opened = 4_000_000_020_000  # far ahead, so that it is still there to be read
    candle = Candle(opened, 1.5, 3.0, 1.0, 2.0, 10.0, M1)
    cache.set_live("BTC-USD", candle)
    assert cache.live("BTC-USD", M1) == candle
    assert redis.pexpiretime("candle:live:7:BTC-USD:1m") == opened + 2 * M1.ms
    assert cache.newest("BTC-USD", M1, 1) == []


def test_a_stale_open_candle_is_gone(cache):
    cache.set_live("BTC-USD", minute(-1_000_000))
    assert cache.live("BTC-USD", M1) is None


# Rows of six numbers, and of ten

COLUMNS_KNOWN = read_columns(("20.5", 3, "4", "8.25"))


def known(number, close=2.0, columns=COLUMNS_KNOWN):
    return replace(minute(number, close), columns=columns)


def rows(redis, name="candles:7:BTC-USD:1m"):
    return [json.loads(member)[5:] for member in redis.zrange(name, 0, -1)]


def test_a_candle_with_columns_is_stored_with_them_and_comes_back_with_them(cache, redis):
    cache.write("BTC-USD", M1, [known(0), minute(1)])
    assert rows(redis) == [[10.0, 20.5, 3, 4.0, 8.25], [10.0]]
    assert cache.newest("BTC-USD", M1, 5) == minutes(0, 2)
    found = [each.columns for each in cache.newest("BTC-USD", M1, 5)]
    assert found == [(20.5, 3, 4.0, 8.25), None]


def test_an_old_row_is_completed_once_it_is_told_again(cache, redis):
    cache.write("BTC-USD", M1, minutes(0, 3))
    cache.write("BTC-USD", M1, [known(1)])
    assert [len(row) for row in rows(redis)] == [1, 5, 1]


def test_a_row_is_not_robbed_of_its_columns_by_one_that_says_nothing_else(cache, redis):
    cache.write("BTC-USD", M1, [known(0), known(1)])
    cache.write("BTC-USD", M1, [minute(0), minute(1, close=2.5)])
    assert [len(row) for row in rows(redis)] == [5, 1]  # of another bar they would not be true
    cache.write("BTC-USD", M1, [known(0, columns=read_columns(("21", 4, "4", "8")))])
    assert rows(redis)[0] == [10.0, 21.0, 4, 4.0, 8.0]


def test_the_open_candle_has_its_columns(cache):
    opened = 4_000_000_020_000
    cache.set_live("BTC-USD", Candle(opened, 1.5, 3.0, 1.0, 2.0, 10.0, M1, COLUMNS_KNOWN))
    assert cache.live("BTC-USD", M1).columns == (20.5, 3, 4.0, 8.25)
