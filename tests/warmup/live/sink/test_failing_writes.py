"""Writes that fail are kept and tried again."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.lock.fencing import Fenced
from livermore.market import keys
from tests.warmup.live.sink.played import (
    BTC,
    EPOCH,
    EXCHANGE,
    M1,
    NOW,
    OPEN,
    PAIR,
    STREAM,
    Rest,
    Stream,
    Unreliable,
    at,
    bar,
    closed,
    still_open,
    ticker,
)
from tests.warmup.live.sink.seen import events, stored, tick_until, told
from warmup.cache.tickers import TickerCache
from warmup.live.bars import GRACE_MS
from warmup.live.sink import CandleSink
from warmup.live.writing import write_queue


@pytest.mark.parametrize("runs", [True, False], ids=["reply lost", "never ran"])
def test_a_failed_flush_is_tried_again_and_tells_nothing_twice(redis, make, cache, listen, runs):
    unreliable = Unreliable(redis, runs=runs)
    sink = make(unreliable)
    sink.connected([PAIR])
    received = listen(keys.close_channel(EXCHANGE, *PAIR))
    sink.candle(closed(0))
    sink.tick()
    unreliable.times = 3
    for number in range(1, 4):
        sink.candle(closed(number))
        sink.candle(still_open(number + 1))
        sink.tick()
        assert sink.pending() == number
    sink.tick()
    assert told(redis) == [(number, False) for number in range(4)]
    assert [message["timestamp"] for _, message in received()] == [at(n) for n in range(4)]
    assert stored(cache) == [(number, STREAM) for number in range(4)]
    assert cache.live(*PAIR) == bar(4, OPEN)
    assert (sink.pending(), sink.flush_failures, sink.writer.closes) == (0, 3, 4)


def test_of_open_bars_and_tickers_only_the_newest_state_is_kept(redis, make, cache):
    unreliable = Unreliable(redis)
    sink = make(unreliable)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    unreliable.times = 2
    for number in range(1, 4):
        sink.candle(still_open(1, volume=float(number)))
        sink.ticker(ticker(float(number)))
        sink.tick()
    assert cache.live(*PAIR).volume == 3.0
    assert TickerCache(redis, EXCHANGE).read(BTC).price == 3.0


def test_closes_for_which_there_is_no_room_are_fetched_later(redis, make, cache, rest, monkeypatch):
    monkeypatch.setattr(write_queue, "CLOSES_HELD", 3)
    unreliable = Unreliable(redis)
    sink = make(unreliable)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    unreliable.times = 6
    for number in range(1, 7):
        sink.candle(closed(number))
        sink.clock(at(number + 1))
        sink.tick()
    assert sink.pending() == 3
    assert rest.asked == []
    sink.clock(at(7) + GRACE_MS)
    tick_until(sink, lambda: len(told(redis)) == 7)
    assert rest.asked == [(BTC, M1, at(4), at(7))]
    assert told(redis) == [(n, False) for n in range(4)] + [(n, True) for n in range(4, 7)]
    assert cache.coverage(*PAIR) == ((at(0), at(7)),)


def test_scripts_that_redis_forgot_are_sent_again(redis, sink, cache):
    sink.candle(closed(0))
    sink.tick()
    redis.script_flush()
    sink.candle(closed(1))
    sink.tick()
    sink.candle(closed(2))
    sink.tick()
    assert told(redis) == [(0, False), (1, False), (2, False)]
    assert sink.flush_failures == 0


def test_under_a_stale_epoch_nothing_is_written(redis, sink, cache, listen):
    sink.candle(closed(0))
    sink.tick()
    received = listen(keys.close_channel(EXCHANGE, *PAIR), keys.candle_channel(EXCHANGE, *PAIR))
    redis.set(keys.epoch(EXCHANGE), EPOCH + 1)
    for symbol_is_news in (closed(1), still_open(2)):
        sink.candle(symbol_is_news)
    sink.ticker(ticker(5.0))
    with pytest.raises(Fenced):
        sink.tick()
    assert told(redis) == [(0, False)]
    assert stored(cache) == [(0, STREAM)]
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)
    assert cache.live(*PAIR) is None
    assert TickerCache(redis, EXCHANGE).read(BTC) is None
    assert received() == []


def test_a_stale_epoch_is_noticed_by_a_redis_that_does_not_know_the_script(redis, sink):
    redis.script_flush()
    redis.set(keys.epoch(EXCHANGE), EPOCH + 1)
    sink.candle(closed(0))
    with pytest.raises(Fenced):
        sink.tick()
    assert events(redis) == []


def test_what_may_not_be_written_now_is_written_when_it_may(redis, make):
    lease = {"held": False}
    sink = make(may_write=lambda: lease["held"])
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert events(redis) == []
    lease["held"] = True
    sink.tick()
    assert told(redis) == [(0, False)]


EVENTS = st.one_of(
    st.tuples(st.sampled_from(["close", "close", "open"]), st.integers(0, 8)),
    st.tuples(st.just("lose"), st.integers(0, 3), st.booleans()),
    st.sampled_from([("tick",), ("tick",), ("down",), ("up",), ("forget",)]),
    st.tuples(st.just("later"), st.sampled_from([10, 60, 70, 200])),
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,  # some orders of events wait for seconds: the same ones in every run
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(EVENTS, max_size=40), st.sets(st.integers(0, 12)))
def test_whatever_fails_every_close_is_told_once_and_in_order(redis, cache, happens, traded):
    redis.flushall()
    redis.set(keys.epoch(EXCHANGE), EPOCH)
    rest, unreliable, now_ms = Rest(), Unreliable(redis), NOW
    rest.traded = traded
    sink = Stream(CandleSink(unreliable, EXCHANGE, rest, EPOCH))
    sink.connected([PAIR])
    for name, *arguments in [*happens, ("lose", 0, False), ("later", 3600), ("up",)]:
        match name:
            case "close" if arguments[0] in traded and at(arguments[0] + 1) <= now_ms:
                sink.candle(closed(arguments[0]))
            case "open" if arguments[0] in traded and at(arguments[0]) <= now_ms:
                sink.candle(still_open(arguments[0]))
            case "lose":
                unreliable.times, unreliable.runs = arguments
            case "tick":
                sink.tick()
            case "down":
                sink.disconnected([PAIR])
            case "up":
                sink.connected([PAIR])
            case "forget":
                redis.script_flush()
            case "later":
                now_ms += 1000 * arguments[0]
                sink.clock(now_ms)
    tick_until(sink, lambda: cache.coverage(*PAIR) == ((at(0), M1.floor(now_ms)),))
    sink.close()
    numbers = [number for number, _ in told(redis)]
    assert numbers == sorted(traded)
    assert [number for number, _ in stored(cache)] == numbers
    assert OPEN not in {volume for _, volume in stored(cache)}
    live = cache.live(*PAIR)
    assert live is None or live.timestamp >= M1.floor(now_ms)
