"""When bars are told as closed, whatever order things happen in."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.rest.reply import Candles
from livermore.market.candle import Candle
from livermore.market.columns import read_columns
from livermore.market.coverage import subtract, union
from livermore.market.timeframe import Timeframe
from warmup.live.bars import (
    GRACE_MS,
    LONGEST_RETRY_MS,
    LONGEST_RETRY_TRADED_MS,
    LONGEST_WAIT_MS,
    RETRY_MS,
    SKIPPED,
    TOLD,
    UNTOLD,
    Bars,
    Close,
)

M1 = Timeframe.M1
START = M1.floor(1_790_000_000_000)
LAG_MS = 600_000
BARS = 12
STREAM, REST, OPEN = 1.0, 2.0, 0.5  # the volume of a bar tells who said it


def at(number):
    return START + number * M1.ms


def bar(number, volume=STREAM):
    return Candle(at(number), 10.0, 10.0, 10.0, 10.0, volume, M1)


def new_bars(**state):
    return Bars(M1, START, streamed=True, **state)


def numbers(closes):
    """Return the bars that were told, None for a stretch without any, and who said it."""
    return [
        (close.candle and (close.candle.timestamp - START) // M1.ms, close.healed)
        for close in closes
        if close.how == TOLD
    ]


def stored(closes):
    """Return the bars that are to be stored."""
    return [
        (close.candle.timestamp - START) // M1.ms
        for close in closes
        if close.candle and not close.stored
    ]


@dataclass
class World:
    """An exchange on which the bars in `traded` exist, and one who listens to it."""

    traded: frozenset[int]
    bars: Bars = field(default_factory=lambda: Bars(M1, START))
    now_ms: int = START
    asked: tuple[int, int] | None = None
    closes: list[Close] = field(default_factory=list)
    said: set[Candle] = field(default_factory=set)

    def over(self):
        """Return how many bars have ended by now."""
        return (self.now_ms - START) // M1.ms

    def update(self, number):
        if number in self.traded and number <= self.over():
            self.bars.widen(bar(number, OPEN))

    def close(self, number):
        if number in self.traded and number < self.over():
            self.said.add(bar(number, STREAM))
            self.closes += self.bars.update(bar(number, STREAM))

    def quiet(self, first, last):
        """Let the stream show that nothing was traded, as it can of bars of which that is so."""
        if last < self.over() and not self.traded & set(range(first, last + 1)):
            self.closes += self.bars.is_quiet(at(first), at(last + 1))

    def wait(self, seconds):
        self.now_ms += 1000 * seconds

    def stream(self, streamed):
        self.bars.streamed = streamed

    def stop_waiting(self):
        self.closes += self.bars.stop_waiting(self.now_ms)

    def look(self, grace_ms):
        span = self.bars.overdue(self.now_ms, grace_ms)
        if span is None:
            return
        assert self.asked is None, "asked twice"
        assert self.bars.streamed
        assert span[0] == self.bars.next_ms < span[1] <= self.now_ms - grace_ms
        self.asked, self.bars.asked = span, True

    def answer(self, missing):
        """Let REST answer what was asked, without the stretches that begin at `missing`."""
        if self.asked is None:
            return
        (start, end), self.asked = self.asked, None
        known = [n for n in range(BARS * 3) if start <= at(n) < end and n not in missing]
        found = Candles(bar(number, REST) for number in known if number in self.traded)
        found.asked = ((start, end),)
        found.covered = union((at(n), at(n + 1)) for n in known)
        self.said.update(found)
        before = self.bars.next_ms
        lacking = self.bars.judge(found, self.now_ms, LAG_MS, self.now_ms)
        self.closes += self.bars.healed(found, subtract(found.covered, lacking))
        if self.bars.next_ms == before:
            self.bars.failed(self.now_ms)

    def fail(self):
        if self.asked is not None:
            self.asked = None
            self.bars.failed(self.now_ms)


NUMBERS = st.integers(0, BARS)
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["update", "close", "close"]), NUMBERS),
    st.tuples(st.just("quiet"), NUMBERS, NUMBERS),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 6, 30, 60, 61, 300])),
    st.tuples(st.just("stream"), st.booleans()),
    st.tuples(st.just("look"), st.sampled_from([0, GRACE_MS])),
    st.tuples(st.just("answer"), st.sets(NUMBERS, max_size=3)),
    st.sampled_from([("fail",), ("stop_waiting",)]),
)


@given(st.frozensets(NUMBERS), st.lists(EVENTS, max_size=60))
def test_whatever_happens_closes_are_told_once_in_order_and_only_if_somebody_said_so(
    traded, events
):
    world = World(traded)
    for name, *arguments in events:
        getattr(world, name)(*arguments)
    # Then all is well again, and what is left comes over REST.
    world.fail()
    world.wait(3600)
    world.stream(True)
    world.look(GRACE_MS)
    world.answer(set())

    spans = [close.covered for close in world.closes if close.how != UNTOLD]
    assert spans[0][0] == START
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(start < end for start, end in spans)
    told = [close for close in world.closes if close.candle and close.how == TOLD]
    candles = [close.candle for close in told]
    assert set(candles) <= world.said
    assert OPEN not in {candle.volume for candle in candles}
    times = [candle.timestamp for candle in candles]
    assert times == sorted(set(times))
    skipped = [close.covered for close in world.closes if close.how == SKIPPED]
    lost = {n for n in traded for start, end in skipped if start <= at(n) < end}
    assert {(time - START) // M1.ms for time in times} == traded - lost
    # Each is stored once, when it is known, and with what is covered.
    kept = stored(world.closes)
    assert len(kept) == len(set(kept))
    assert {(candle.timestamp - START) // M1.ms for candle in candles} <= set(kept)
    covered = union(close.covered for close in world.closes if close.how != SKIPPED)
    empty = [n for n in range(BARS + 1) if n not in set(kept)]
    assert not [n for n in empty if n in traded and not subtract(((at(n), at(n + 1)),), covered)]
    for close in told:
        assert close.covered[0] <= close.candle.timestamp
        assert close.covered[1] == close.candle.close_time_ms
        assert close.healed is (close.candle.volume == REST)


def test_the_next_bar_is_told_at_once():
    assert new_bars().update(bar(0)) == [Close(bar(0), (at(0), at(1)), False)]


def test_a_bar_is_told_once_however_often_it_closes():
    bars = new_bars()
    bars.update(bar(0))
    assert bars.update(bar(0)) == []
    assert bars.update(bar(0, volume=9.0)) == []


def test_what_closes_before_another_is_stored_and_waits_for_its_turn():
    bars = new_bars()
    assert bars.update(bar(2)) == [Close(bar(2), (at(2), at(3)), False, how=UNTOLD)]
    assert bars.update(bar(1)) == [Close(bar(1), (at(1), at(2)), False, how=UNTOLD)]
    assert bars.holds_back
    assert numbers(bars.update(bar(0))) == [(0, False), (1, False), (2, False)]


def test_what_rest_says_comes_before_what_waited():
    bars = new_bars()
    bars.update(bar(2))
    closes = bars.healed([bar(0, REST)], ((at(0), at(2)),))
    assert numbers(closes) == [(0, True), (None, True), (2, False)]
    assert closes[1] == Close(None, (at(1), at(2)), True)
    assert closes[2] == Close(bar(2), (at(2), at(3)), False, stored=True)


def test_quiet_periods_before_a_bar_are_covered_with_it():
    closes = new_bars().healed([bar(3, REST)], ((at(0), at(4)),))
    assert closes == [Close(bar(3, REST), (at(0), at(4)), True)]


def test_an_answer_that_says_nothing_of_the_next_bar_tells_nothing():
    bars = new_bars()
    beyond = bars.healed([bar(1, REST)], ((at(1), at(2)),))
    assert beyond == [Close(bar(1, REST), (at(1), at(2)), True, how=UNTOLD)]
    assert bars.healed([], ()) == []
    assert bars.next_ms == START


def test_a_candle_outside_of_what_the_answer_covers_is_not_told():
    bars = new_bars()
    assert numbers(bars.healed([bar(0, REST), bar(5, REST)], ((at(0), at(2)),))) == [
        (0, True),
        (None, True),
    ]


def test_rest_is_asked_once_the_grace_is_over_and_not_before():
    bars = new_bars()
    assert bars.overdue(at(1) + GRACE_MS - 1) is None
    assert bars.overdue(at(1) + GRACE_MS) == (at(0), at(1))
    assert bars.overdue(at(4) + GRACE_MS + 7) == (at(0), at(4))


def test_after_a_reconnect_rest_is_asked_without_any_grace():
    assert new_bars().overdue(at(1), 0) == (at(0), at(1))
    assert new_bars().overdue(at(1) - 1, 0) is None


def test_nothing_is_asked_while_the_connection_is_down_or_an_answer_is_awaited():
    bars = new_bars(asked=True)
    assert bars.overdue(at(9)) is None
    bars.asked, bars.streamed = False, False
    assert bars.overdue(at(9)) is None


def test_the_pause_after_a_failure_doubles_up_to_five_minutes_and_a_close_ends_it():
    bars, now_ms, pauses = new_bars(), at(9), []
    for _ in range(20):
        bars.failed(now_ms)
        pauses.append(bars.retry_at_ms - now_ms)
        assert bars.overdue(bars.retry_at_ms - 1) is None
        assert bars.overdue(bars.retry_at_ms) is not None
    assert pauses[:3] == [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS]
    assert max(pauses) == pauses[-1] == LONGEST_RETRY_MS
    bars.update(bar(0))
    bars.failed(now_ms)
    assert bars.retry_at_ms == now_ms + RETRY_MS


def test_a_bar_that_is_known_to_have_traded_is_asked_for_more_often():
    bars, now_ms = new_bars(), at(9)
    for _ in range(10):
        bars.failed(now_ms)
    bars.has_traded(at(8) + 17)
    assert bars.overdue(at(9) + GRACE_MS) is not None  # though it was not to be asked so soon
    for _ in range(10):
        bars.failed(now_ms)
    assert bars.retry_at_ms == now_ms + LONGEST_RETRY_TRADED_MS


def test_only_what_is_neither_told_nor_waiting_is_news():
    bars = new_bars()
    bars.update(bar(0))
    bars.update(bar(2))
    news = [bars.widen(bar(number, OPEN)) is not None for number in range(4)]
    assert news == [False, True, False, True]


# What is skipped


def test_closes_wait_for_a_minute_and_are_told_then():
    bars = new_bars()
    bars.update(bar(1))
    bars.update(bar(2))
    assert bars.stop_waiting(at(2) + LONGEST_WAIT_MS - 1) == []
    assert bars.stop_waiting(at(2) + LONGEST_WAIT_MS) == [
        Close(None, (at(0), at(1)), False, how=SKIPPED),
        Close(bar(1), (at(1), at(2)), False, stored=True),
        Close(bar(2), (at(2), at(3)), False, stored=True),
    ]
    assert numbers(bars.update(bar(3))) == [(3, False)]
    assert bars.update(bar(0)) == []


def test_where_two_are_missing_the_second_is_waited_for_anew():
    bars = new_bars()
    bars.update(bar(1))
    bars.update(bar(3))
    assert numbers(bars.stop_waiting(at(2) + LONGEST_WAIT_MS)) == [(1, False)]
    assert bars.stop_waiting(at(4) + LONGEST_WAIT_MS - 1) == []
    assert numbers(bars.stop_waiting(at(4) + LONGEST_WAIT_MS)) == [(3, False)]


def test_the_wait_begins_when_somebody_could_close_what_is_missing():
    bars = new_bars()
    bars.update(bar(1))
    bars.streamed = False
    bars.reconnected(at(50))
    assert bars.stop_waiting(at(50) + LONGEST_WAIT_MS - 1) == []
    assert numbers(bars.stop_waiting(at(50) + LONGEST_WAIT_MS)) == [(1, False)]


def test_what_is_missing_and_has_none_behind_it_is_never_skipped():
    bars = new_bars()
    assert bars.stop_waiting(at(99)) == []
    bars.is_quiet(at(1), at(2))
    assert bars.stop_waiting(at(99)) == []


# What was in the cache already


def test_what_the_cache_held_is_told_in_turn_and_not_stored_again():
    bars = new_bars()
    closes = bars.cached([bar(0), bar(2), bar(4)], ((at(0), at(3)), (at(4), at(5))))
    assert numbers(closes) == [(0, True), (2, True)]
    assert stored(closes) == []
    healed = bars.healed([bar(3, REST)], ((at(3), at(4)),))
    assert numbers(healed) == [(3, True), (4, True)]
    assert stored(healed) == [3]


# What the stream shows of open bars


def test_an_answer_that_lacks_a_bar_that_traded_is_held_against_what_the_stream_showed():
    bars = new_bars()
    bars.has_traded(at(1) + 5)
    answer = Candles([bar(0, REST), bar(3, REST)])
    answer.asked = answer.covered = ((at(0), at(4)),)
    assert bars.judge(answer, at(5), LAG_MS, at(5)) == ((at(1), at(2)),)
    assert answer == [bar(0, REST), bar(3, REST)]


@pytest.mark.parametrize(("minutes", "kept"), [(2, False), (9, False), (11, True)])
def test_a_row_that_shows_less_than_the_stream_did_is_old_until_the_exchange_has_settled(
    minutes, kept
):
    bars = new_bars()
    bars.widen(Candle(at(0), 10.0, 12.0, 9.0, 11.0, 5.0, M1))
    for row in (
        Candle(at(0), 10.0, 11.9, 9.0, 11.0, 5.0, M1),
        Candle(at(0), 10.0, 12.0, 9.1, 11.0, 5.0, M1),
        Candle(at(0), 10.0, 12.0, 9.0, 11.0, 4.9, M1),
    ):
        answer = Candles([row])
        answer.asked = answer.covered = ((at(0), at(1)),)
        bars.judge(answer, at(1 + minutes), LAG_MS, at(5))
        assert (list(answer), answer.covered) == (([row], ((at(0), at(1)),)) if kept else ([], ()))


def test_what_was_asked_for_in_vain_is_waited_for_until_it_is_known_whatever_is_lost_meanwhile():
    bars = new_bars()
    bars.streamed = True
    assert not bars.is_waiting
    bars.failed(at(1))
    bars.reconnected(at(1))
    assert bars.is_waiting
    bars.update(bar(0))
    assert not bars.is_waiting


def test_the_wait_is_not_renewed_by_what_is_lost_while_it_is_streamed():
    bars = new_bars()
    bars.reconnected(at(0))
    bars.update(bar(1))
    for seconds in range(0, 120, 20):
        bars.reconnected(at(2) + 1000 * seconds)  # a frame was lost
    assert numbers(bars.stop_waiting(at(2) + LONGEST_WAIT_MS)) == [(1, False)]


def test_within_a_bar_high_low_and_volume_only_widen():
    bars = new_bars()
    first = Candle(at(0), 10.0, 12.0, 9.0, 11.0, 5.0, M1)
    assert bars.widen(first) == first
    assert bars.widen(Candle(at(0), 10.0, 11.0, 10.0, 10.5, 3.0, M1)) == first
    wider = Candle(at(0), 10.0, 11.5, 8.0, 10.5, 6.0, M1)
    assert bars.widen(wider) == Candle(at(0), 10.0, 12.0, 8.0, 10.5, 6.0, M1)


CANDLES = st.builds(
    lambda low, up, a, b, volume: Candle(
        at(0), low + a * up, low + up, low, low + b * up, volume, M1
    ),
    st.integers(1, 20).map(float),
    st.integers(0, 9).map(float),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 9).map(float),
)


@given(st.lists(CANDLES, min_size=1, max_size=8))
def test_whatever_versions_come_a_bar_only_widens(versions):
    bars = new_bars()
    shown = [bars.widen(candle) for candle in versions]
    for before, after in pairwise(shown):
        assert after.high >= before.high
        assert after.low <= before.low
        assert after.volume >= before.volume
    assert shown[-1].high == max(candle.high for candle in versions)
    assert shown[-1].volume == max(candle.volume for candle in versions)


@pytest.mark.parametrize("from_number", [0, 2])
def test_what_was_not_stored_is_asked_for_again(from_number):
    bars = new_bars()
    for number in range(3):
        bars.update(bar(number))
    bars.update(bar(5))
    bars.take_back(at(from_number))
    assert bars.overdue(at(6) + GRACE_MS) == (at(from_number), at(6))
    assert numbers(bars.update(bar(3))) == []
    missing = [bar(number, REST) for number in range(from_number, 3)]
    told = bars.healed(missing, ((at(0), at(3)),))
    assert numbers(told) == [(number, True) for number in range(from_number, 3)] + [(3, False)]


def test_what_would_not_be_kept_is_left_out_and_nothing_is_told_again():
    bars = new_bars()
    bars.skip_to(at(3))
    assert bars.update(bar(2)) == []
    assert bars.update(bar(3)) == [Close(bar(3), (at(3), at(4)), False)]
    bars.skip_to(at(1))
    assert bars.update(bar(2)) == []
    assert bars.overdue(at(5) + GRACE_MS) == (at(4), at(5))


def test_a_bar_whose_close_came_is_open_no_more_though_one_before_it_is_missing():
    bars = new_bars()
    bars.update(bar(1))
    assert [bars.may_be_open(at(number)) for number in range(3)] == [True, False, True]


# The four columns beside the six numbers

SOME, MORE = read_columns((20.5, 3, 4.0, 8.25)), read_columns((21.5, 4, 5.0, 9.25))


def known(volume, columns=SOME, high=12.0):
    return Candle(at(0), 10.0, high, 9.0, 11.0, volume, M1, columns)


def test_columns_are_those_of_the_newest_state_of_a_bar():
    bars = new_bars()
    assert bars.widen(known(5.0)).columns == SOME
    assert bars.widen(known(6.0, MORE)).columns == MORE
    older = bars.widen(known(5.5, high=13.0))
    assert (older.high, older.volume, older.columns) == (13.0, 6.0, MORE)


def test_a_state_without_columns_has_those_of_one_with_as_much_volume():
    bars = new_bars()
    bars.widen(known(5.0))
    assert bars.widen(known(5.0, None)).columns == SOME
    assert bars.widen(known(6.0, None)).columns is None
    assert bars.widen(known(6.0, MORE)).columns == MORE


@pytest.mark.parametrize("told", [None, MORE])
def test_a_young_row_that_is_alike_is_final_whether_or_not_it_has_columns(told):
    bars = new_bars()
    bars.reconnected(at(-1), whole_from_ms=at(0))
    bars.widen(known(5.0))
    answer = Candles()
    answer.asked, answer.young = ((at(0), at(1)),), known(5.0, told)
    bars.judge(answer, at(2), LAG_MS, at(2))
    assert (answer, answer.young, answer.covered) == ([known(5.0)], None, ((at(0), at(1)),))
    assert answer[0].columns == (told or SOME)


def test_a_close_that_comes_again_with_columns_is_told_once():
    bars = new_bars()
    assert numbers(bars.update(known(5.0, None))) == [(0, False)]
    assert bars.update(known(5.0)) == []
    assert bars.healed([known(5.0)], ((at(0), at(1)),)) == []
