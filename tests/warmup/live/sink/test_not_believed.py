"""What the stream and REST say, and what is made of it."""

import pytest
from redis.exceptions import ConnectionError as RedisGone

from exchanges.stream.events import CandleUpdate, Concluded, Quiet, Traded
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.coverage import intersect, missing, subtract, union
from livermore.market.pair import Pair, pairs_of
from tests.warmup.live.sink.played import (
    BTC,
    EXCHANGE,
    H1,
    M1,
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
)
from tests.warmup.live.sink.seen import late, stored, tick_until, told
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.told import Told
from warmup.live import loading
from warmup.live.bars import GRACE_MS


@pytest.mark.parametrize("number", [0, 1, 5])
def test_a_bar_that_is_said_to_be_closed_before_its_end_is_not(redis, sink, cache, rest, number):
    sink.clock(at(number + 1) - 1000)
    early = CandleUpdate(BTC, bar(number, OPEN), closed=True)
    sink._sink.candle(early)
    sink.tick()
    assert number not in [each for each, _ in told(redis)]
    assert cache.live(*PAIR) == bar(number, OPEN)
    sink.candle(closed(number))
    tick_until(sink, lambda: (number, False) in told(redis))
    assert stored(cache)[-1] == (number, STREAM)


def test_a_bar_whose_only_closing_frame_came_early_is_asked_of_rest(redis, sink, rest, cache):
    sink.clock(at(1) - 1000)
    sink._sink.candle(CandleUpdate(BTC, bar(0, OPEN), closed=True))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told(redis) == [(0, True)])
    assert stored(cache) == [(0, REST)]


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_bar_that_has_not_begun_is_not_shown(redis, sink, cache, is_closed):
    sink._sink.candle(CandleUpdate(BTC, bar(1, OPEN), closed=is_closed))
    sink.tick()
    assert cache.live(*PAIR) is None
    assert told(redis) == []


def test_of_two_versions_of_an_open_bar_the_wider_one_is_shown(sink, cache):
    def shown(*values):
        sink._sink.candle(CandleUpdate(BTC, Candle(NOW, *values, M1), closed=False))
        sink.tick()
        return tuple(cache.live(*PAIR).values()[1:])

    assert shown(10.0, 12.0, 9.0, 11.0, 5.0) == (10.0, 12.0, 9.0, 11.0, 5.0)
    assert shown(10.0, 11.0, 10.0, 10.5, 3.0) == (10.0, 12.0, 9.0, 11.0, 5.0)
    assert shown(10.0, 11.5, 8.0, 10.5, 6.0) == (10.0, 12.0, 8.0, 10.5, 6.0)
    assert shown(10.0, 12.0, 9.0, 11.0, 5.0) == (10.0, 12.0, 8.0, 10.5, 6.0)


@pytest.mark.parametrize("hole", [False, True])
def test_what_was_fetched_while_nobody_ran_is_told_and_counts_once_in_longer_open_bars(
    redis, make, cache, rest, hole
):
    five = Pair(BTC, M5)
    first = make(rolls_up_from=M5)
    first.connected(pairs_of([BTC], [M5, H1]))
    first.tick()
    first.disconnected(pairs_of([BTC], [M5, H1]))
    first.clock(at(4, M5))
    fetched = range(1 if hole else 0, 3)
    cache.write(*five, [bar(n, REST, M5) for n in fetched], ((at(fetched[0], M5), at(3, M5)),))
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, H1]))
    tick_until(sink, lambda: len(told(redis, timeframe=M5)) == 4)
    assert [number for number, _ in told(redis, timeframe=M5)] == [0, 1, 2, 3]
    sink.candle(CandleUpdate(BTC, bar(4, OPEN, M5), closed=False))
    sink.tick()
    live = cache.live(BTC, H1)
    assert live is None if hole else live.volume == 4 * REST + OPEN


@pytest.mark.parametrize("reads", [1, 2, 3, 4])
def test_a_pair_that_could_not_be_read_whole_is_read_again(redis, make, cache, reads, monkeypatch):
    five, left = Pair(BTC, M5), [reads]
    first = make(rolls_up_from=M5)
    first.connected([five])
    first.tick()
    cache.write(*five, [bar(n, REST, M5) for n in range(3)], ((at(0), at(3, M5)),))
    between = CandleCache.between

    def fail(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise RedisGone("the connection was lost")
        return between(*arguments)

    monkeypatch.setattr(CandleCache, "between", fail)
    sink = make(rolls_up_from=M5)
    sink.clock(at(3, M5))
    sink.connected(pairs_of([BTC], [M5, H1]))
    tick_until(sink, lambda: len(told(redis, timeframe=M5)) == 3)
    sink.candle(CandleUpdate(BTC, bar(3, OPEN, M5), closed=False))
    sink.tick()
    assert cache.live(BTC, H1).volume == 3 * REST + OPEN


def test_longer_open_bars_only_widen_too(make, cache):
    sink = make(rolls_up_from=M5)
    sink.connected(pairs_of([BTC], [M5, M15, H1]))
    for volume, high in ((5.0, 12.0), (3.0, 11.0)):
        candle = Candle(NOW, 10.0, high, 9.0, 10.0, volume, M5)
        sink.candle(CandleUpdate(BTC, candle, closed=False))
        sink.tick()
        for timeframe in (M5, M15, H1):
            assert (cache.live(BTC, timeframe).volume, cache.live(BTC, timeframe).high) == (
                5.0,
                12.0,
            )


def unproven(answer):
    """Say of the bars of an answer that have no row only that there is none."""
    rows = union((each.timestamp, each.close_time_ms) for each in answer)
    answer.covered, answer.anchored = intersect(answer.covered, rows), True


def test_a_bar_that_the_stream_showed_to_trade_is_waited_for(redis, sink, cache, rest):
    rest.traded = ()
    sink.candle(still_open(0))
    for number in range(1, 40):
        sink.clock(at(number) + GRACE_MS)
        tick_until(sink, lambda: not sink.asking())
    assert cache.coverage(*PAIR) == ((at(1), at(39)),)
    assert told(redis) == []
    assert PAIR in sink.waiting()
    rest.traded = (0,)
    sink.clock(at(40) + GRACE_MS)
    tick_until(sink, lambda: [number for number, _ in told(redis)] == [0])
    assert sink.waiting() == []


def test_a_trade_is_evidence_for_every_timeframe(redis, make, cache, rest):
    rest.traded = ()
    sink = make()
    sink.connected(pairs_of([BTC], [M1, M5, H1]))
    sink.traded(Traded(BTC, at(0) + 5))
    sink.clock(at(1, H1) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 3 and not sink.asking())
    for timeframe in (M1, M5, H1):
        unknown = missing(cache.coverage(BTC, timeframe), NOW, at(1, H1))
        assert unknown == ((at(0, timeframe), at(1, timeframe)),)


def test_a_trade_in_the_future_is_evidence_of_nothing(make, cache, rest):
    rest.traded = ()
    sink = make()
    sink.connected([PAIR])
    sink.traded(Traded(BTC, at(3)))
    sink.clock(at(9) + GRACE_MS)
    tick_until(sink, lambda: cache.coverage(*PAIR) == ((at(0), at(9)),))


def test_an_empty_end_is_believed_when_it_is_told_again_after_the_exchange_has_settled(
    redis, sink, cache, rest
):
    rest.traded, rest.doubt = (), unproven
    sink.clock(at(3) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert cache.coverage(*PAIR) == ()
    for minute in range(4, 25):
        sink.clock(at(minute) + GRACE_MS)
        tick_until(sink, lambda: not sink.asking())
    covered = cache.coverage(*PAIR)
    assert covered[0][0] == at(0)
    assert at(3) <= covered[0][1] <= at(24) - rest.lag_ms
    assert told(redis) == []


def test_a_stretch_that_the_stream_shows_to_be_quiet_needs_no_rest(redis, sink, cache, rest):
    sink.candle(closed(0))
    rest.may_answer.clear()
    sink.clock(at(4) + 100)
    sink.quiet(Quiet(BTC, at(1) - 200, at(4) + 50))
    sink.candle(closed(4))
    sink.tick()
    assert told(redis) == [(0, False), (4, False)]
    assert cache.coverage(*PAIR) == ((at(0), at(5)),)


def test_what_the_stream_says_of_the_future_is_not_believed(redis, sink, cache):
    sink.candle(closed(0))
    sink.quiet(Quiet(BTC, at(1) - 200, at(60)))
    sink.tick()
    assert cache.coverage(*PAIR) == ((at(0), at(1)),)


def young(number, volume):
    """Let answers know a newest row that may still grow."""

    def doubt(answer):
        answer.young = bar(number, volume)
        answer[:] = [each for each in answer if each.timestamp < at(number)]
        answer.covered = subtract(answer.covered, ((at(number), at(number + 1)),))

    return doubt


@pytest.mark.parametrize("how", ["whole", "lost", "deaf"])
def test_a_row_that_may_still_grow_is_final_where_it_equals_all_that_the_stream_showed(
    redis, sink, rest, how
):
    sink.candle(closed(0))
    sink.candle(still_open(1))
    if how == "lost":  # the stream says so where frames of it are missing
        sink.clock(at(1) + 30_000)
        sink.connected([PAIR])
    rest.doubt = young(1, OPEN)
    sink.clock(at(2) + GRACE_MS)
    sink.received_until(at(2) - 1 if how == "deaf" else at(2) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert told(redis) == [(0, False), (1, True)][: 2 if how == "whole" else 1]


@pytest.mark.parametrize("volume", [OPEN / 2, 2 * OPEN])
def test_a_row_that_may_still_grow_and_differs_from_what_the_stream_showed_is_not_final(
    redis, sink, cache, rest, volume
):
    sink.candle(closed(0))
    sink.candle(still_open(1))
    rest.doubt = young(1, volume)
    sink.clock(at(2) + GRACE_MS)
    sink.received_until(at(2) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert told(redis) == [(0, False)]
    assert stored(cache) == [(0, STREAM)]


def test_a_row_that_shows_less_than_the_stream_did_is_not_final(redis, sink, cache, rest):
    sink.candle(still_open(0, volume=99.0))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) == 1 and not sink.asking())
    assert (told(redis), stored(cache)) == ([], [])
    # But the exchange's word counts once it has settled.
    sink.clock(at(1) + rest.lag_ms + 30_000)
    tick_until(sink, lambda: told(redis)[:1] == [(0, True)])


def test_what_a_clock_that_was_ahead_left_behind_is_asked_for_again(redis, make, cache, rest):
    cache.write(*PAIR, [bar(n, OPEN) for n in range(-20, 4)], ((at(-20), at(4)),))
    redis.hset(keys.told(EXCHANGE), "BTC-USD:1m", f"[{at(4)},[]]")
    rest.note_frame(at(1) + 30_000)
    sink = make()
    sink.connected([PAIR])
    sink.tick()
    assert cache.coverage(*PAIR) == ((at(-20), at(-6)),)
    assert [number for number, _ in stored(cache)] == list(range(-20, 1))
    told_now = Told.load(redis.hget(keys.told(EXCHANGE), "BTC-USD:1m"))
    assert told_now == Told(at(1), ((at(-6), at(1)),))
    cache.write(*PAIR, [bar(n, REST) for n in range(-6, 1)], ((at(-6), at(1)),))
    sink.repaired(PAIR)
    tick_until(sink, lambda: late(redis) == list(range(-6, 1)))
    sink.candle(closed(1))
    sink.tick()
    assert told(redis)[-1] == (1, False)


def test_when_the_clock_is_moved_back_bars_that_it_closed_are_asked_for_again(
    redis, sink, cache, rest, monkeypatch
):
    for number in range(5):
        sink.candle(closed(number))
    sink.tick()
    assert len(told(redis)) == 5
    monkeypatch.setattr(loading, "SECONDS_AHEAD", 0)
    rest.time_ms = at(2) + 30_000
    for _ in range(3):
        sink.tick()
    assert cache.coverage(*PAIR) == ()
    assert [number for number, _ in stored(cache)] == [0, 1]
    sink.candle(closed(2))
    sink.tick()
    assert told(redis)[-1] == (2, False)


def test_a_gap_in_memory_longer_than_what_is_kept_is_not_fetched_as_a_whole(make, cache, rest):
    cache.write(*PAIR, [bar(-1900)], ((at(-1900), at(-1899)),))
    sink = make()
    sink.connected([PAIR])
    tick_until(sink, lambda: rest.asked)
    assert rest.asked == [(BTC, M1, at(-CANDLES_KEPT), at(0))]


def test_a_concluded_bar_of_which_more_was_shown_is_left_to_rest(redis, sink, cache):
    sink.candle(still_open(0, volume=OPEN))
    sink.clock(at(1))
    sink.concluded(Concluded(BTC, bar(0, 0.0)))  # another connection has seen nothing of it
    sink.tick()
    assert stored(cache) == []
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: stored(cache) == [(0, REST)])
    sink.candle(still_open(1, volume=OPEN))
    sink.clock(at(2))
    sink.concluded(Concluded(BTC, bar(1, STREAM)))
    sink.tick()
    assert stored(cache) == [(0, REST), (1, STREAM)]
