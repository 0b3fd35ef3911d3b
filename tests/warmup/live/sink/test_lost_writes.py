"""A Redis that lost what was written to it last, under a sink that believes it there."""

import json

import pytest
from redis.exceptions import ConnectionError

from livermore.market import keys
from livermore.market.pair import Pair
from tests.warmup.live.lossy_redis import WAYS, LossyRedis
from tests.warmup.live.sink.played import (
    BTC,
    EPOCH,
    ETH,
    EXCHANGE,
    H1,
    PAIR,
    STREAM,
    Stream,
    Unreliable,
    at,
    closed,
)
from tests.warmup.live.sink.seen import stored, tick_until
from warmup.cache.candles import CandleCache
from warmup.live.redis_loss import loss_watch, written_lately
from warmup.live.redis_loss.comparison import Comparison
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.live.sink import NOBODYS, CandleSink

OTHERS = [Pair(ETH, PAIR.timeframe), Pair(BTC, H1)]


@pytest.fixture(params=WAYS)
def lossy(request, tmp_path):
    with LossyRedis(tmp_path, request.param) as lossy:
        yield lossy


@pytest.fixture
def redis(lossy):
    with lossy.client() as client:
        client.set(keys.epoch(EXCHANGE), EPOCH)
        yield client


@pytest.fixture
def lose(lossy, redis):
    def lose():
        lossy.lose()
        redis.set(keys.epoch(EXCHANGE), EPOCH)  # else nobody may write until it is taken anew

    return lose


def events(redis):
    return [(entry, json.loads(fields[b"event"])) for entry, fields in redis.xrange(keys.events(7))]


def told(redis, pair=PAIR):
    return [
        (event["timestamp"] - at(0)) // pair.timeframe.ms
        for _, event in events(redis)
        if (event["symbol"], event["timeframe"]) == pair
    ]


def close_and_tick(sink, *numbers, symbols=(BTC,), timeframe=PAIR.timeframe):
    for number in numbers:
        for symbol in symbols:
            sink.candle(closed(number, symbol, timeframe))
    sink.tick()


@pytest.fixture
def live(lossy, redis, make):
    """Return a sink that told five closes of each of two symbols; Redis kept the first three."""
    sink = make()
    sink.connected([PAIR, *OTHERS])
    close_and_tick(sink, 0, 1, 2, symbols=(BTC, ETH))
    lossy.remember()
    close_and_tick(sink, 3, symbols=(BTC, ETH))
    close_and_tick(sink, 4, symbols=(BTC, ETH))
    return sink


def test_what_was_lost_is_there_and_told_again_under_the_ids_it_had(live, lose, redis):
    before = events(redis)
    lose()
    assert len(events(redis)) < len(before)
    tick_until(live, lambda: events(redis) == before)
    for pair in (PAIR, OTHERS[0]):
        assert stored(CandleCache(redis, EXCHANGE), *pair) == [(n, STREAM) for n in range(5)]
        assert CandleCache(redis, EXCHANGE).coverage(*pair) == ((at(0), at(5)),)
    close_and_tick(live, 5)
    assert told(redis) == list(range(6))
    assert events(redis)[:-1] == before


def test_closes_that_wait_meanwhile_come_after_what_was_lost(live, lose, redis):
    before = events(redis)
    live.candle(closed(5))
    lose()
    live.candle(closed(6))
    tick_until(live, lambda: not live.pending())
    assert events(redis)[: len(before)] == before
    assert told(redis) == list(range(7))


def test_a_loss_that_no_failure_tells_of_is_noticed_by_the_next_close(
    live, lose, redis, monkeypatch
):
    monkeypatch.setattr(loss_watch, "SECONDS_BETWEEN_LOOKS", 3600)
    live.tick()
    before = events(redis)
    lose()
    redis.ping()  # the connection is there again
    live.candle(closed(5))
    tick_until(live, lambda: not live.pending())
    assert events(redis)[: len(before)] == before
    assert told(redis) == list(range(6))


def test_who_holds_the_exchange_next_in_this_process_brings_back_what_was_lost(
    lossy, redis, make, lose
):
    lately = WrittenLately()
    first = make()
    first.remember_in(lately)
    first.connected([PAIR])
    close_and_tick(first, 0, 1, 2)
    lossy.remember()
    close_and_tick(first, 3, 4)
    before = events(redis)
    lose()
    second = make()
    second.remember_in(lately)
    second.connected([PAIR])
    assert events(redis) == before
    close_and_tick(second, 5)
    assert told(redis) == list(range(6))


def test_who_knows_nothing_of_what_was_lost_says_that_it_may_have_been_told(
    lossy, redis, make, lose, rest
):
    first = make()
    first.connected([PAIR])
    close_and_tick(first, 0, 1, 2)
    lossy.remember()
    close_and_tick(first, 3, 4)
    lose()
    if not redis.exists(keys.told(EXCHANGE)):
        pytest.skip("there is nothing to go on from")
    second = make()
    second.connected([PAIR])
    tick_until(second, lambda: told(redis) == list(range(5)))
    close_and_tick(second, 5)
    assert [event.get("again", False) for _, event in events(redis)] == [
        *(3 * [False]), True, True, False,
    ]  # fmt: skip


def lose_between(lossy, redis, holder, shadow, lose):
    """Let both follow five bars and Redis lose the newest two, before one takes over."""
    holder.connected([PAIR])
    shadow.connected([PAIR])
    for number in range(5):
        shadow.candle(closed(number))
        close_and_tick(holder, number)
        if number == 2:
            lossy.remember()
    lose()
    if not redis.exists(keys.told(EXCHANGE)):
        pytest.skip("there is nothing to go on from")
    redis.set(keys.epoch(EXCHANGE), EPOCH + 1)


def test_who_takes_over_as_redis_loses_something_says_what_may_have_been_told(
    lossy, redis, make, lose, rest
):
    holder, shadow = make(), Stream(CandleSink(redis, EXCHANGE, rest, NOBODYS, lambda: False))
    shadow.remember_in(WrittenLately())
    lose_between(lossy, redis, holder, shadow, lose)
    shadow.take_over(EPOCH + 1, lambda: True)
    tick_until(shadow, lambda: told(redis) == list(range(5)))
    close_and_tick(shadow, 5)
    shadow._healer.close()
    assert [event.get("again", False) for _, event in events(redis)] == [
        *(3 * [False]), True, True, False,
    ]  # fmt: skip


def test_a_take_over_writes_nothing_before_it_knows_what_was_lost(
    lossy, redis, make, lose, rest, monkeypatch
):
    holder, shadow = make(), Stream(CandleSink(redis, EXCHANGE, rest, NOBODYS, lambda: False))
    lose_between(lossy, redis, holder, shadow, lose)
    send = Comparison._send

    def send_and_fail(comparison, *arguments):
        send(comparison, *arguments)
        raise ConnectionError("gone before it answered")

    with monkeypatch.context() as patches:
        patches.setattr(Comparison, "_send", send_and_fail)
        shadow.take_over(EPOCH + 1, lambda: True)
        for _ in range(3):
            shadow.tick()
            shadow.closed()
        assert told(redis) == [0, 1, 2]
    tick_until(shadow, lambda: told(redis) == list(range(5)))
    assert [event.get("again", False) for _, event in events(redis)] == [
        *(3 * [False]), True, True,
    ]  # fmt: skip
    shadow._healer.close()


def test_what_a_flush_told_whose_reply_was_lost_is_told_again_under_its_ids_too(
    lossy, redis, make, lose
):
    unreliable = Unreliable(redis, runs=True)
    sink = make(unreliable)
    sink.connected([PAIR, OTHERS[0]])
    close_and_tick(sink, 0, 1, symbols=(BTC, ETH))
    lossy.remember()
    unreliable.times = 2
    close_and_tick(sink, 2, 3, symbols=(BTC, ETH))
    tick_until(sink, lambda: not sink.pending())
    assert sink.flush_failures == 2
    before = events(redis)
    assert len(before) == 8
    lose()
    tick_until(sink, lambda: events(redis) == before)
    close_and_tick(sink, 4, symbols=(BTC, ETH))
    assert told(redis) == list(range(5))


def test_a_flush_whose_reply_was_lost_is_missed_by_the_next_where_redis_lost_it_alone(
    lossy, redis, make, lose, monkeypatch
):
    monkeypatch.setattr(loss_watch, "SECONDS_BETWEEN_LOOKS", 3600)
    unreliable = Unreliable(redis, runs=True)
    sink = make(unreliable)
    sink.connected([PAIR])
    close_and_tick(sink, 0, 1)
    lossy.remember()
    unreliable.times = 1
    close_and_tick(sink, 2)
    tick_until(sink, lambda: not sink.pending())
    before = events(redis)
    lose()
    redis.ping()  # the connection is there again
    sink.candle(closed(3))
    tick_until(sink, lambda: not sink.pending())
    assert events(redis)[:3] == before
    assert told(redis) == list(range(4))


def test_what_is_older_than_what_is_remembered_is_fetched_and_told_late(
    live, lose, redis, rest, monkeypatch
):
    monkeypatch.setattr(written_lately, "CLOSES_REMEMBERED", 2)
    close_and_tick(live, 5, symbols=(BTC, ETH))
    rest.clock.note_frame(at(6))
    lose()
    if not redis.exists(keys.told(EXCHANGE)):
        pytest.skip("nobody waits for what was told before")
    tick_until(live, lambda: live.skipped())
    assert told(redis) == [0, 1, 2, 5]
    cache = CandleCache(redis, EXCHANGE)
    for number in (3, 4):
        cache.write(*PAIR, [closed(number).candle], [(at(number), at(number + 1))])
    live.repaired(PAIR)
    tick_until(live, lambda: PAIR not in live.skipped())
    assert told(redis) == [0, 1, 2, 5, 3, 4]
    late = [event for _, event in events(redis) if event.get("late")]
    assert [event["again"] for event in late] == [True, True]
