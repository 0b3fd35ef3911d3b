"""What is missing is fetched and told in its turn, or late."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from exchanges.errors import Unreachable
from livermore.market import keys
from livermore.market.pair import pairs_of
from tests.warmup.live.sink.played import (
    BTC,
    EXCHANGE,
    M1,
    PAIR,
    REST,
    STREAM,
    at,
    bar,
    closed,
    still_open,
)
from tests.warmup.live.sink.seen import late, stored, tick_until, told
from warmup.cache.candles import CANDLES_KEPT
from warmup.cache.told import Told
from warmup.live.bars import GRACE_MS, LONGEST_WAIT_MS
from warmup.live.outage import Outage


def test_what_closed_before_a_connection_is_fetched_and_told_before_what_follows(
    redis, make, cache, rest
):
    cache.write(*PAIR, [bar(-10)], ((at(-10), at(-9)),))
    rest.may_answer.clear()
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert told(redis) == []
    rest.may_answer.set()
    tick_until(sink, lambda: len(told(redis)) == 10)
    assert rest.asked == [(BTC, M1, at(-9), at(0))]
    assert told(redis) == [(number, True) for number in range(-9, 0)] + [(0, False)]
    assert cache.coverage(*PAIR) == ((at(-10), at(1)),)
    assert sink.healed == 9


def test_after_an_interruption_exactly_what_was_missed_is_fetched(redis, sink, rest):
    sink.candle(closed(0))
    sink.tick()
    sink.disconnected([PAIR])
    sink.clock(at(4) + 1)
    sink.tick()
    assert rest.asked == []
    sink.connected([PAIR])
    tick_until(sink, lambda: len(told(redis)) == 4)
    assert rest.asked == [(BTC, M1, at(1), at(4))]
    assert told(redis) == [(0, False), (1, True), (2, True), (3, True)]


def test_a_bar_whose_close_never_came_is_fetched_five_seconds_after_its_end(redis, sink, rest):
    sink.candle(still_open(0))
    sink.clock(at(1) + GRACE_MS - 1000)
    sink.tick()
    assert rest.asked == []
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: told(redis) == [(0, True)])
    sink.candle(closed(0))  # it came after all
    sink.tick()
    assert told(redis) == [(0, True)]
    assert rest.asked == [(BTC, M1, at(0), at(1))]


def test_a_stretch_without_trades_is_covered_and_nothing_is_told_of_it(redis, sink, cache, rest):
    rest.traded = [2]
    sink.clock(at(4) + GRACE_MS)
    tick_until(sink, lambda: cache.coverage(*PAIR) == ((at(0), at(4)),))
    assert told(redis) == [(2, True)]
    assert stored(cache) == [(2, REST)]


def answered(sink):
    """Let REST be asked for what is due, and answer."""
    sink.tick()
    tick_until(sink, lambda: not sink.asking())


def wait_for(sink, *pairs):
    """Let a program wait for what is overdue of some pairs; return what it is told."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sink.heal_now, pairs, 10)
        tick_until(sink, waiting.done)
        return waiting.result()


def test_of_a_market_that_does_not_trade_rest_is_asked_ever_more_rarely(sink, cache, rest):
    rest.traded = [0]
    for minute in range(1, 31):
        sink.clock(at(minute) + GRACE_MS)
        answered(sink)
    assert 5 < len(rest.asked) < 15
    assert cache.coverage(*PAIR)[-1][1] >= at(25)


def test_a_program_that_waits_has_it_asked_at_once(sink, cache, rest):
    rest.traded = [0]
    for minute in range(1, 21):
        sink.clock(at(minute) + GRACE_MS)
        answered(sink)
    for minute in range(21, 26):
        sink.clock(at(minute) + GRACE_MS)
        assert wait_for(sink, PAIR) == ""
        assert cache.coverage(*PAIR)[-1][1] == at(minute)
    calls = len(rest.asked)
    assert wait_for(sink, PAIR) == ""  # nothing is over that is not known
    assert len(rest.asked) == calls


def test_where_nothing_is_streamed_a_program_still_has_it_asked(redis, sink, cache, rest):
    sink.candle(closed(0))
    sink.tick()
    sink.disconnected([PAIR])
    sink.clock(at(4) + GRACE_MS)
    answered(sink)
    assert rest.asked == []
    assert wait_for(sink, PAIR) == ""
    assert cache.coverage(*PAIR)[-1][1] == at(4)
    sink.connected([PAIR])
    answered(sink)
    assert told(redis) == [(0, False), (1, True), (2, True), (3, True)]


def test_a_program_that_waits_is_told_why_rest_can_not_be_asked(sink, rest):
    rest.error = Unreachable("the exchange is away")
    sink.clock(at(1) + GRACE_MS)
    assert wait_for(sink, PAIR) == "the exchange is away"
    assert wait_for(sink, PAIR) == "the exchange is away"


def test_while_rest_is_away_it_is_tried_ever_more_rarely_by_one_for_all(
    redis, make, rest, monkeypatch
):
    monkeypatch.setattr("warmup.live.outage.FIRST_PAUSE_SECONDS", 0.01)
    symbols = [f"S{number}-USD" for number in range(50)]
    sink = make()
    rest.error = Unreachable("no route to host")
    sink.connected(pairs_of(symbols, [M1]))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: len(rest.asked) >= 6)
    assert len(rest.asked) < 20
    assert sink.healing() == 50
    rest.error = None
    tick_until(sink, lambda: redis.xlen(keys.events(EXCHANGE)) == 50)
    assert sink.healing() == 0


def test_a_pair_that_fails_alone_keeps_no_other_from_being_asked_for(
    redis, make, rest, monkeypatch
):
    monkeypatch.setattr("warmup.live.outage.FIRST_PAUSE_SECONDS", 0.01)
    get_candles = rest.get_candles

    def one_fails(symbol, *arguments, **options):
        if symbol == "S0-USD":
            raise Unreachable("HTTP 502")
        return get_candles(symbol, *arguments, **options)

    monkeypatch.setattr(rest, "get_candles", one_fails)
    symbols = [f"S{number}-USD" for number in range(5)]
    sink = make()
    sink.connected(pairs_of(symbols, [M1]))
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: redis.xlen(keys.events(EXCHANGE)) == 4)


def test_an_outage_ends_although_no_bar_is_missing_any_more(redis, make, rest, monkeypatch):
    monkeypatch.setattr("warmup.live.outage.FIRST_PAUSE_SECONDS", 0.01)
    sink = make()
    sink.connected([PAIR])
    rest.error = Unreachable("no route to host")
    sink.clock(at(1) + GRACE_MS)
    tick_until(sink, lambda: sink.is_away)
    sink.candle(closed(0))
    sink.tick()
    assert told(redis) == [(0, False)]
    rest.error = None
    tick_until(sink, lambda: not sink.is_away)
    assert len(rest.asked) <= 2


def test_calls_that_were_under_way_when_an_outage_began_make_no_pause_longer():
    outage = Outage()
    for _ in range(20):
        outage.failed(now=100.0)
    assert not outage.may_try(100.49)
    assert outage.may_try(101.0)
    assert not outage.may_try(102.0)  # that one has not ended yet
    outage.failed(now=103.0)
    assert not outage.may_try(103.9)
    assert outage.may_try(105.0)


def test_what_closes_while_one_is_missing_is_in_the_cache_at_once_and_told_after_it(
    redis, sink, cache, rest
):
    rest.may_answer.clear()
    sink.clock(at(1) + GRACE_MS)
    sink.candle(closed(1))
    sink.tick()
    assert stored(cache) == [(1, STREAM)]
    assert cache.coverage(*PAIR) == ((at(1), at(2)),)
    assert told(redis) == []
    rest.may_answer.set()
    tick_until(sink, lambda: len(told(redis)) == 2)
    assert told(redis) == [(0, True), (1, False)]
    assert cache.coverage(*PAIR) == ((at(0), at(2)),)


@pytest.fixture
def skipping(sink, cache, rest, redis):
    """A sink that has told bars 1 and 2 and gave up waiting for bar 0, which REST lacks."""
    rest.traded = range(1, 100)
    rest.doubt = lambda answer: setattr(answer, "covered", ())
    sink.candle(closed(1))
    sink.clock(at(2) + LONGEST_WAIT_MS - 1)
    sink.tick()
    assert told(redis) == []
    sink.clock(at(2) + LONGEST_WAIT_MS)
    tick_until(sink, lambda: told(redis) == [(1, False)])
    sink.candle(closed(2))
    sink.tick()
    assert told(redis) == [(1, False), (2, False)]
    return sink


def test_closes_wait_for_one_that_is_missing_for_a_minute_and_no_longer(skipping, redis, cache):
    skipping.candle(closed(3))
    skipping.tick()
    assert told(redis) == [(1, False), (2, False), (3, False)]
    assert cache.coverage(*PAIR) == ((at(1), at(4)),)
    assert skipping.healing() == 1
    assert Told.load(redis.hget(keys.told(EXCHANGE), "BTC-USD:1m")) == Told(
        at(4), ((at(0), at(1)),)
    )


def test_what_was_skipped_is_told_late_when_somebody_has_written_it(skipping, redis, cache):
    skipping.repaired(PAIR)
    skipping.tick()
    assert len(told(redis)) == 2
    cache.write(*PAIR, [bar(0, REST)], ((at(0), at(1)),))
    skipping.repaired(PAIR)
    tick_until(skipping, lambda: len(told(redis)) == 3)
    assert told(redis)[-1] == (0, True)
    assert late(redis) == [0]
    assert skipping.healing() == 0
    skipping.repaired(PAIR)
    skipping.candle(closed(3))
    skipping.tick()
    assert [number for number, _ in told(redis)] == [1, 2, 0, 3]
    assert Told.load(redis.hget(keys.told(EXCHANGE), "BTC-USD:1m")) == Told(at(4))


def test_who_comes_after_tells_late_what_was_skipped_before(skipping, redis, make, cache):
    cache.write(*PAIR, [bar(0, REST)], ((at(0), at(1)),))
    second = make()
    second.connected([PAIR])
    tick_until(second, lambda: late(redis) == [0])
    assert [number for number, _ in told(redis)] == [1, 2, 0]


def test_what_was_skipped_is_waited_for_no_longer_than_its_bars_are_kept(skipping):
    skipping.clock(at(CANDLES_KEPT))
    skipping.tick()
    assert skipping.skipped() == [PAIR]
    skipping.clock(at(CANDLES_KEPT + 1))
    tick_until(skipping, lambda: not skipping.healing())
    assert skipping.skipped() == []


def test_what_was_skipped_and_is_known_to_be_empty_is_forgotten(skipping, redis, cache):
    cache.write(*PAIR, [], ((at(0), at(1)),))
    skipping.repaired(PAIR)
    skipping.tick()
    assert len(told(redis)) == 2
    assert skipping.healing() == 0


def test_who_comes_back_is_told_what_closed_meanwhile_in_order(redis, make, cache, rest):
    first = make()
    first.connected([PAIR])
    first.candle(closed(0))
    first.tick()
    first.disconnected([PAIR])
    first.forget([PAIR])
    first.tick()
    rest.note_frame(at(6))
    cache.write(*PAIR, [bar(n, REST) for n in (3, 4, 5)], ((at(3), at(6)),))  # as when it is added
    first.connected([PAIR])
    tick_until(first, lambda: len(told(redis)) == 6)
    assert [number for number, _ in told(redis)] == list(range(6))
    assert (BTC, M1, at(1), at(6)) in rest.asked
    assert late(redis) == []


def test_a_pair_that_was_streamed_and_never_closed_is_told_all_when_it_comes_back(
    redis, make, cache, rest
):
    first = make()
    first.connected([PAIR])
    first.tick()
    first.disconnected([PAIR])
    first.forget([PAIR])
    first.tick()
    rest.note_frame(at(3))
    cache.write(*PAIR, [bar(n, REST) for n in range(3)], ((at(0), at(3)),))
    first.connected([PAIR])
    tick_until(first, lambda: len(told(redis)) == 3)


def test_what_was_there_before_a_pair_was_first_streamed_is_nobodys_news(redis, make, cache):
    cache.write(*PAIR, [bar(n, REST) for n in range(-9, 0)], ((at(-9), at(0)),))
    sink = make()
    sink.connected([PAIR])
    sink.candle(closed(0))
    sink.tick()
    assert told(redis) == [(0, False)]
