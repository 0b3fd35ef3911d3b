"""A sink that follows the stream beside the exchange's holder, and then goes on in its place."""

import pytest
from redis.exceptions import ConnectionError

from exchanges.stream.events import Revised
from livermore.market import keys
from livermore.market.pair import Pair
from tests.warmup.live.sink.played import (
    BTC,
    EPOCH,
    ETH,
    EXCHANGE,
    PAIR,
    STREAM,
    Stream,
    at,
    closed,
    still_open,
)
from tests.warmup.live.sink.seen import events, stored, tick_until, told
from warmup.live.sink import NOBODYS, CandleSink


@pytest.fixture
def holder(make):
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    return sink


@pytest.fixture
def shadow(redis, rest, holder):
    shadow = Stream(CandleSink(redis, EXCHANGE, rest, NOBODYS, lambda: False))
    shadow.connected([PAIR])
    yield shadow
    shadow._healer.close()


def take_over(redis, shadow):
    redis.set(keys.epoch(EXCHANGE), EPOCH + 1)
    shadow.take_over(EPOCH + 1, lambda: True)
    shadow.tick()


def test_a_shadow_that_could_not_read_what_was_told_reads_it_once_it_can(
    redis, rest, holder, monkeypatch
):
    def fail(*_):
        raise ConnectionError("gone")

    shadow = Stream(CandleSink(redis, EXCHANGE, rest, NOBODYS, lambda: False))
    with monkeypatch.context() as patch:
        patch.setattr(shadow._cache, "told", fail)
        shadow.connected([PAIR])
        shadow.tick()
        assert not shadow.follows([PAIR])
    shadow.tick()
    assert shadow.follows([PAIR])
    take_over(redis, shadow)
    shadow.candle(closed(1))
    shadow.tick()
    shadow._healer.close()
    assert told(redis) == [(0, False), (1, False)]


def test_a_shadow_writes_nothing_and_asks_for_nothing(redis, rest, shadow, cache):
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    for number in (1, 2):
        shadow.candle(closed(number))
    shadow.candle(still_open(3))
    for _ in range(3):
        shadow.tick()
        shadow.closed()
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before
    assert shadow.pending() == 2
    assert not shadow.asking()


def test_it_goes_on_with_what_the_holder_has_not_told(redis, shadow, holder, cache):
    for number in (1, 2):
        shadow.candle(closed(number))
    holder.candle(closed(1))
    holder.tick()
    take_over(redis, shadow)
    assert stored(cache) == [(0, STREAM), (1, STREAM), (2, STREAM)]
    assert told(redis) == [(0, False), (1, False), (2, False)]
    assert shadow.writer.closes == 1


def test_it_goes_on_behind_what_it_has_not_seen_itself(redis, shadow, holder):
    shadow.candle(closed(2))  # it was not subscribed yet when the one before closed
    holder.candle(closed(1))
    holder.tick()
    take_over(redis, shadow)
    assert told(redis) == [(0, False), (1, False), (2, False)]
    assert shadow.final_until(PAIR) == at(3)


def test_where_redis_cannot_be_compared_it_says_so_once_and_writes_nothing_before_it_was(
    redis, shadow, holder, caplog
):
    shadow.candle(closed(1))
    kept = redis.dump(keys.events(EXCHANGE))
    redis.set(keys.events(EXCHANGE), "not a stream")
    take_over(redis, shadow)
    for _ in range(3):
        shadow.tick()
        shadow.closed()
    assert shadow.pending() == 1
    assert len([each for each in caplog.messages if "sink.not_compared" in each]) == 1
    redis.restore(keys.events(EXCHANGE), 0, kept, replace=True)
    tick_until(shadow, lambda: told(redis) == [(0, False), (1, False)])


def test_a_key_of_another_type_keeps_no_other_pair_from_being_taken_over(redis, shadow, holder):
    other = Pair(ETH, PAIR.timeframe)
    for sink in (holder, shadow):
        sink.connected([other])
    redis.delete(keys.coverage(EXCHANGE, *other))
    redis.rpush(keys.coverage(EXCHANGE, *other), "not a string")
    shadow.candle(closed(1))
    shadow.candle(closed(1, ETH))
    take_over(redis, shadow)
    tick_until(shadow, lambda: told(redis) == [(0, False), (1, False)])


def test_what_the_holder_told_is_not_told_again(redis, shadow, holder):
    for number in (1, 2):
        shadow.candle(closed(number))
        holder.candle(closed(number))
    holder.tick()
    before = events(redis)
    take_over(redis, shadow)
    shadow.candle(closed(3))
    shadow.tick()
    assert events(redis)[:-1] == before
    assert told(redis)[-1] == (3, False)


def test_a_sink_that_cannot_read_what_was_told_loads_everything_again(
    redis, shadow, holder, monkeypatch
):
    def fail(*_):
        raise ConnectionError("gone")

    shadow.candle(closed(1))
    holder.candle(closed(1))
    holder.tick()
    with monkeypatch.context() as patch:
        patch.setattr(shadow._cache, "told", fail)
        take_over(redis, shadow)
    shadow.tick()
    shadow.candle(closed(2))
    shadow.tick()
    assert told(redis) == [(0, False), (1, False), (2, False)]


def test_what_was_doubted_long_before_is_the_holders_to_take_back(redis, shadow, holder, cache):
    def close(numbers):
        for number in numbers:
            for sink in (shadow, holder):
                sink.candle(closed(number))
        holder.tick()
        shadow.tick()

    close(range(1, 4))
    shadow.revised(Revised(BTC, at(2)))
    close(range(4, 30))
    shadow.revised(Revised(BTC, at(28)))
    take_over(redis, shadow)
    assert cache.coverage(*PAIR) == ((at(0), at(28)),)
