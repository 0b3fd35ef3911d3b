"""Bars that the stream shows as others than it told: taken back, fetched, told once more."""

from exchanges.stream.events import Revised
from livermore.market.pair import Pair
from tests.warmup.live.sink.played import BTC, M5, PAIR, REST, STREAM, at, bar, closed
from tests.warmup.live.sink.seen import late, stored, tick_until, told


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
