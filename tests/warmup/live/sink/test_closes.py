"""Closes: each is stored, covered and told once, in order."""

import pytest

from exchanges.errors import Unreachable
from exchanges.stream.events import CandleUpdate
from livermore.market import keys
from livermore.market.pair import pairs_of
from tests.warmup.live.sink.played import (
    BTC,
    EXCHANGE,
    M1,
    M5,
    NOW,
    PAIR,
    STREAM,
    Unreliable,
    at,
    bar,
    closed,
    still_open,
)
from tests.warmup.live.sink.seen import events, stored, tick_until, told, wait_until
from warmup.live.bars import GRACE_MS
from warmup.live.writing import flush
from warmup.live.writing.write_queue import CLOSES_PER_FLUSH, MOST_CLOSES_PER_FLUSH


def test_a_close_is_stored_covered_and_told_once_in_the_stream_and_on_both_channels(
    redis, sink, cache, listen
):
    channels = keys.close_channel(EXCHANGE, *PAIR), keys.candle_channel(EXCHANGE, *PAIR)
    received = listen(*channels)
    for number in range(3):
        sink.candle(closed(number))
        sink.tick()
    assert stored(cache) == [(0, STREAM), (1, STREAM), (2, STREAM)]
    assert cache.coverage(*PAIR) == ((at(0), at(3)),)
    messages = received()
    for channel in channels:
        assert [message for name, message in messages if name == channel] == events(redis)
    assert [event["timestamp"] for event in events(redis)] == [at(0), at(1), at(2)]
    assert events(redis)[0] == {
        "exchangeId": EXCHANGE, "symbol": BTC, "timeframe": "1m", "timestamp": NOW,
        "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": STREAM,
        "closed": True, "healed": False,
    }  # fmt: skip
    assert (sink.writer.closes, sink.writer.newest_close_ms) == (3, at(3))
    assert (sink.healed, sink.pending()) == (0, 0)


@pytest.mark.parametrize("begin", ["connected", "polled"])
def test_where_no_frame_tells_the_time_bars_close_by_rest_all_the_same(
    redis, untold, rest, cache, begin
):
    cache.write(*PAIR, [bar(-3)], ((at(-3), at(-2)),))
    rest.time_ms = at(-1)
    getattr(untold, begin)([PAIR])
    tick_until(untold, lambda: told(redis) == [(-2, True)])
    rest.time_ms = at(1)  # two minutes go by
    rest.clock.forget()
    tick_until(untold, lambda: told(redis) == [(-2, True), (-1, True), (0, True)])


def test_a_time_that_rest_does_not_tell_ends_nothing(redis, untold, rest):
    def refuse():
        raise Unreachable("nothing is told of it")

    tell, rest.clock.ask_ms = rest.clock.ask_ms, refuse
    untold.connected([PAIR])
    untold.tick()
    rest.clock.ask_ms = tell
    tick_until(untold, lambda: untold.final_until(PAIR) == NOW)


def test_how_long_after_its_end_a_bar_is_stored_is_counted(sink):
    sink.clock(at(1) + 700)
    sink.candle(closed(0))
    sink.tick()
    assert sum(sink.writer.delays.counts) == 1
    assert 700 <= sink.writer.delays.sum_ms < 700 + 40_000  # the rest is this machine's


def test_a_bar_that_waited_for_redis_is_late_by_so_much(redis, make):
    sink = make(Unreliable(redis, times=1))
    sink.connected([PAIR])
    sink.clock(at(1))
    sink.candle(closed(0))
    sink.tick()
    assert sum(sink.writer.delays.counts) == 0
    sink.clock(at(1) + 4000)
    tick_until(sink, lambda: not sink.pending())
    assert (sum(sink.writer.delays.counts), sink.writer.delays.sum_ms >= 4000) == (1, True)


def test_a_healed_bar_is_not_among_the_delays_of_the_stream(sink):
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: sink.writer.closes == 1)
    assert (sink.healed, sum(sink.writer.delays.counts)) == (1, 0)


def test_a_burst_of_closes_takes_few_round_trips_and_is_told_as_it_is_read(redis, make):
    sink = make()
    symbols = [f"S{number}-USD" for number in range(300)]
    sink.connected(pairs_of(symbols, [M1, M5]))
    sink.candle(closed(0, symbols[0]))
    sink.tick()
    redis.config_resetstat()
    for symbol in symbols:
        sink.candle(closed(1, symbol) if symbol == symbols[0] else closed(0, symbol))
        sink.candle(closed(0, symbol, M5))
    wait_until(lambda: redis.xlen(keys.events(EXCHANGE)) > 100)  # before all are read
    sink.closed()
    calls = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert 600 // MOST_CLOSES_PER_FLUSH <= calls <= -(-600 // CLOSES_PER_FLUSH)
    assert redis.xlen(keys.events(EXCHANGE)) == 601
    assert sink.pending() == 0


def test_what_is_not_streamed_is_not_stored(redis, make, cache):
    sink = make()
    sink.candle(closed(0))
    sink.candle(still_open(0))
    sink.tick()
    assert events(redis) == []
    assert cache.live(*PAIR) is None


def test_a_repeated_or_late_close_changes_nothing(redis, sink, cache):
    sink.candle(closed(0))
    sink.candle(closed(1))
    sink.candle(CandleUpdate(BTC, bar(0, volume=99.0), closed=True))
    sink.tick()
    sink.candle(closed(1))
    sink.tick()
    assert told(redis) == [(0, False), (1, False)]
    assert stored(cache) == [(0, STREAM), (1, STREAM)]


def test_one_who_comes_after_goes_on_where_the_cache_ends(redis, make, cache, rest):
    first = make()
    first.connected([PAIR])
    first.candle(closed(0))
    first.tick()
    second = make()
    second.clock(at(2) + 100)
    second.connected([PAIR])
    second.candle(closed(0))
    second.candle(closed(2))
    tick_until(second, lambda: len(told(redis)) == 3)
    assert rest.asked == [(BTC, M1, at(1), at(2))]
    assert told(redis) == [(0, False), (1, True), (2, False)]
    assert cache.coverage(*PAIR) == ((at(0), at(3)),)


def test_the_end_writes_what_there_is(redis, make, cache):
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.close()
    assert stored(cache) == [(0, STREAM)]


@pytest.mark.parametrize("runs", [True, False], ids=["reply lost", "never ran"])
def test_who_wants_to_know_of_closes_is_told_once_they_are_stored(redis, make, cache, runs):
    received = []
    unreliable = Unreliable(redis, times=1, runs=runs)

    def on_close(symbol, candle, healed):
        assert stored(cache)[-1] == (0, candle.volume)
        received.append((symbol, candle, healed))

    redis.script_load(flush.FLUSH.text)
    sink = make(unreliable, on_close=on_close)
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert received == []
    sink.tick()
    assert received == [(BTC, bar(0), False)]
