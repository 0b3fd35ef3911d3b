"""Bars that the stream shows as others than it told: taken back, fetched, told once more."""

from redis.exceptions import ConnectionError

from exchanges.stream.events import Revised
from livermore.market import keys
from livermore.market.pair import Pair
from tests.warmup.live.sink.played import (
    BTC,
    EXCHANGE,
    H1,
    M5,
    M15,
    PAIR,
    REST,
    STREAM,
    at,
    bar,
    closed,
    still_open,
)
from tests.warmup.live.sink.seen import late, stored, tick_until, told
from warmup.cache.told import Told


def test_a_bar_that_is_another_one_is_forgotten_and_fetched(redis, sink, cache, rest):
    for number in range(3):
        sink.candle(closed(number))
    sink.tick()
    assert stored(cache) == [(0, STREAM), (1, STREAM), (2, STREAM)]
    sink.revised(Revised(BTC, at(1) + 5))
    sink.tick()
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)
    assert sink.skipped() == [PAIR]  # so it is fetched, whatever comes
    cache.write(*PAIR, [bar(1, REST), bar(2, REST)], ((at(1), at(3)),))
    sink.repaired(PAIR)
    tick_until(sink, lambda: late(redis) == [1, 2])
    assert stored(cache) == [(0, STREAM), (1, REST), (2, REST)]
    sink.candle(closed(3))
    sink.tick()
    assert told(redis)[-1] == (3, False)


def test_bars_of_longer_timeframes_that_hold_it_are_taken_back_if_they_were_told(
    redis, make, cache, rest
):
    sink, longer = make(), Pair(BTC, M5)
    sink.connected([PAIR, longer])
    sink.candle(closed(0))
    sink.candle(closed(0, timeframe=M5))
    sink.tick()
    sink.revised(Revised(BTC, at(3)))
    sink.tick()
    assert cache.coverage(*longer) == ()
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)  # its third minute was not told yet


def test_a_pair_of_which_nothing_was_told_since_stays_as_it_is(redis, make, cache):
    """Its open bar is shown as it is now, and nothing of it is read again."""
    sink, longer = make(), [Pair(BTC, each) for each in (M5, M15, H1)]
    sink.connected([PAIR, *longer])
    for number in range(3):
        sink.candle(closed(number))
    for pair in longer:
        sink.candle(still_open(0, timeframe=pair.timeframe, volume=3.0))
    sink.tick()
    for pair in longer:
        redis.rpush(keys.coverage(EXCHANGE, *pair), "who reads that sets its pair aside")
    sink.revised(Revised(BTC, at(2)))
    sink.tick()
    assert sink.aside() == {}
    for pair in longer:
        sink.candle(still_open(0, timeframe=pair.timeframe, volume=2.5))
    sink.tick()
    assert {cache.live(*pair).volume for pair in longer} == {2.5}


def test_a_bar_that_waits_for_those_before_it_is_forgotten_too(redis, sink, cache, rest):
    rest.traded = [1, 2]
    rest.may_answer.clear()
    sink.candle(closed(0))
    sink.candle(closed(2))
    sink.tick()
    assert stored(cache) == [(0, STREAM), (2, STREAM)]
    sink.revised(Revised(BTC, at(2)))
    sink.tick()
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)
    rest.may_answer.set()
    tick_until(sink, lambda: told(redis) == [(0, False), (1, True), (2, True)])
    assert stored(cache) == [(0, STREAM), (1, REST), (2, REST)]


def test_a_bar_that_is_taken_back_while_nothing_is_streamed_is_told_late_all_the_same(
    redis, sink, cache, rest
):
    for number in range(3):
        sink.candle(closed(number))
    sink.tick()
    sink.revised(Revised(BTC, at(2)))
    sink.disconnected([PAIR])
    sink.tick()
    sink.connected([PAIR])
    rest.time_ms = at(3) + 10_000
    tick_until(sink, lambda: late(redis) == [2])
    assert stored(cache) == [(0, STREAM), (1, STREAM), (2, REST)]
    assert sink.skipped() == []
    assert cache.told([PAIR])[PAIR] == Told(at(3))


def test_a_bar_that_is_not_over_by_a_clock_that_is_behind_is_told_again_in_turn(
    redis, sink, cache, rest
):
    for number in range(3):
        sink.candle(closed(number))
    sink.tick()
    sink.revised(Revised(BTC, at(2)))
    rest.time_ms = at(3) - 1
    sink.tick()
    rest.time_ms = at(3) + 10_000
    tick_until(sink, lambda: told(redis)[3:] == [(2, True)])
    tick_until(sink, lambda: sink.skipped() == [])
    assert stored(cache) == [(0, STREAM), (1, STREAM), (2, REST)]
    assert cache.told([PAIR])[PAIR] == Told(at(3))


def test_a_pair_that_is_to_be_loaded_is_taken_back_once_it_is(sink, cache, monkeypatch):
    def fail(*_):
        raise ConnectionError("gone")

    sink.candle(closed(0))
    sink.candle(closed(1))
    sink.tick()
    with monkeypatch.context() as patch:
        patch.setattr(sink._cache, "told", fail)
        sink.revised(Revised(BTC, at(1)))
        sink.tick()
        sink.revised(Revised(BTC, at(0)))  # while the first one is under way
        sink.tick()
    sink.tick()
    sink.tick()
    assert cache.coverage(*PAIR) == ()
