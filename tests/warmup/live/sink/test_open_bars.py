"""Open bars, the longer ones that are made of them, and tickers."""

from livermore.market import keys
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from tests.warmup.live.sink.played import (
    BTC,
    D1,
    ETH,
    EXCHANGE,
    H1,
    M5,
    M15,
    NOW,
    OPEN,
    PAIR,
    REST,
    STREAM,
    at,
    bar,
    closed,
    still_open,
    ticker,
)
from tests.warmup.live.sink.seen import events, stored, tick_until, told
from warmup.cache.tickers import TickerCache
from warmup.live.bars import GRACE_MS

# -- Open bars


def test_an_open_bar_is_stored_and_published_until_two_timeframes_after_it_began(
    redis, sink, cache, listen
):
    received = listen(keys.candle_channel(EXCHANGE, *PAIR))
    sink.clock(at(0) + 20_000)
    sink.candle(still_open(0))
    sink.tick()
    assert cache.live(*PAIR) == bar(0, OPEN)
    ((_, message),) = received()
    assert (message["timestamp"], message["volume"], message["closed"]) == (NOW, OPEN, False)
    left = redis.pttl(keys.live_candle(EXCHANGE, *PAIR))
    assert 95_000 < left <= 100_000
    assert events(redis) == []


def test_a_bar_that_closed_is_not_shown_as_open_any_more(sink, cache):
    sink.candle(still_open(0))
    sink.tick()
    sink.candle(closed(0))
    sink.tick()
    assert cache.live(*PAIR) is None
    sink.candle(still_open(0))
    sink.tick()
    assert cache.live(*PAIR) is None


def test_a_close_leaves_the_next_open_bar_alone(sink, cache):
    sink.clock(at(1) + 50)
    sink.candle(still_open(1))
    sink.tick()
    sink.candle(closed(0))
    sink.tick()
    assert cache.live(*PAIR) == bar(1, OPEN)


def test_a_late_state_of_a_closed_bar_does_not_hide_the_open_one(sink, cache):
    sink.candle(closed(0))
    sink.candle(still_open(1))
    sink.candle(still_open(0))
    sink.tick()
    assert cache.live(*PAIR) == bar(1, OPEN)


def test_an_open_bar_and_its_close_in_one_flush_leave_the_close(sink, cache):
    sink.candle(still_open(0))
    sink.candle(closed(0))
    sink.tick()
    assert stored(cache) == [(0, STREAM)]
    assert cache.live(*PAIR) is None


def test_an_open_bar_that_rest_closed_is_not_shown_as_open_any_more(redis, sink, cache):
    sink.candle(still_open(0))
    sink.tick()
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told(redis) == [(0, True)])
    assert cache.live(*PAIR) is None


# -- Longer open bars


def test_open_bars_of_longer_timeframes_are_made_of_five_minutes(make, cache):
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1, Timeframe.H4, D1]))
    sink.candle(closed(0, timeframe=M5))
    sink.candle(still_open(1, timeframe=M5))
    sink.tick()
    for timeframe in (M15, H1):
        candle = cache.live(BTC, timeframe)
        assert (candle.timestamp, candle.volume) == (NOW, STREAM + OPEN)
    assert cache.live(BTC, M5) == bar(1, OPEN, M5)


def test_no_longer_bar_is_made_while_a_part_of_it_is_missing(redis, make, cache, rest):
    rest.may_answer.clear()
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1, Timeframe.H4, D1]))
    sink.clock(at(1, M5) + GRACE_MS)
    sink.candle(still_open(1, timeframe=M5))
    sink.tick()
    assert cache.live(BTC, M5) == bar(1, OPEN, M5)
    assert cache.live(BTC, M15) is None
    rest.may_answer.set()
    tick_until(sink, lambda: told(redis, timeframe=M5) == [(0, True)])
    sink.candle(still_open(1, timeframe=M5))
    sink.tick()
    assert cache.live(BTC, M15).volume == REST + OPEN


# -- Tickers


def test_a_ticker_is_stored_for_a_minute_and_published(redis, sink, listen):
    received = listen(keys.ticker_channel(EXCHANGE, BTC))
    sink.ticker(ticker(20.0))
    sink.tick()
    assert TickerCache(redis, EXCHANGE).read(BTC) == ticker(20.0)
    assert 55_000 < redis.pttl(keys.ticker(EXCHANGE, BTC)) <= 60_000
    assert [message for _, message in received()] == [ticker(20.0).as_json()]


def test_between_two_flushes_only_the_newest_ticker_counts(redis, sink, listen):
    received = listen(keys.ticker_channel(EXCHANGE, BTC), keys.ticker_channel(EXCHANGE, ETH))
    for price in (1.0, 2.0, 3.0):
        sink.ticker(ticker(price))
    sink.ticker(ticker(9.0, ETH))
    sink.tick()
    assert [(each["symbol"], each["price"]) for _, each in received()] == [(BTC, 3.0), (ETH, 9.0)]
