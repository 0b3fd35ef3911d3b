"""Closed bars of longer timeframes where each minute has a row: made of the minutes as stored."""

import pytest

from exchanges.rest.reply import QuietBars
from exchanges.stream.events import Revised
from livermore.market.pair import pairs_of
from tests.warmup.live.sink.played import (
    BTC,
    M1,
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
from tests.warmup.live.sink.seen import stored, tick_until, told


@pytest.fixture
def sink(make, rest):
    rest.quiet_bars = QuietBars.FILLS
    sink = make(rolls_up_from=M1)
    sink.connected(pairs_of([BTC], [M1, M5, M15]))
    return sink


def test_a_longer_bar_closes_with_the_last_of_its_minutes(redis, sink, cache):
    for number in range(5):
        assert told(redis, timeframe=M5) == []
        sink.candle(closed(number))
        sink.tick()
    assert told(redis, timeframe=M5) == [(0, False)]
    assert stored(cache, timeframe=M5) == [(0, 5 * STREAM)]
    assert told(redis, timeframe=M15) == []


def test_minutes_that_were_found_to_be_others_are_in_it_as_they_are(redis, sink, cache):
    for number in range(3):
        sink.candle(closed(number))
    sink.tick()
    sink.revised_elsewhere(Revised(BTC, at(1)))
    sink.tick()
    sink.candle(closed(3))
    sink.candle(closed(4))
    sink.tick()
    assert stored(cache, timeframe=M5) == []  # two of its minutes are to be fetched
    cache.write(*PAIR, [bar(1, REST), bar(2, REST)], ((at(1), at(3)),))
    sink.repaired(PAIR)
    tick_until(sink, lambda: told(redis, timeframe=M5))
    assert stored(cache, timeframe=M5) == [(0, 3 * STREAM + 2 * REST)]


def test_an_open_longer_bar_is_not_shown_without_a_minute_that_was_taken_back(sink, cache):
    sink.candle(closed(0))
    sink.candle(closed(1))
    sink.tick()
    sink.revised(Revised(BTC, at(1)))
    sink.tick()
    sink.candle(still_open(2))
    sink.tick()
    assert cache.live(BTC, M5) is None
    cache.write(*PAIR, [bar(1, REST)], ((at(1), at(2)),))
    sink.repaired(PAIR)
    sink.tick()
    sink.candle(still_open(2, volume=0.75))
    sink.tick()
    assert cache.live(BTC, M5).volume == STREAM + REST + 0.75
