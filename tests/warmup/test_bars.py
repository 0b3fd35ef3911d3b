"""When bars are told as closed, whatever order things happen in."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.candle import Candle
from livermore.market.coverage import union
from livermore.market.timeframe import Timeframe
from warmup.bars import GRACE_MS, LONGEST_RETRY_MS, RETRY_MS, Bars, Close

M1 = Timeframe.M1
START = M1.floor(1_790_000_000_000)
BARS = 12
STREAM, REST, OPEN = 1.0, 2.0, 3.0  # the volume of a bar tells who said it


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
    ]


@dataclass
class World:
    """An exchange on which the bars in `traded` exist, and one who listens to it."""

    traded: frozenset[int]
    bars: Bars = field(default_factory=lambda: Bars(M1, START))
    now_ms: int = START
    asked: tuple[int, int] | None = None
    told: list[Close] = field(default_factory=list)
    said: set[Candle] = field(default_factory=set)

    def over(self):
        """Return how many bars have ended by now."""
        return (self.now_ms - START) // M1.ms

    def update(self, number):
        if number in self.traded and number <= self.over():
            self.told += self.bars.update(bar(number, OPEN), closed=False)

    def close(self, number):
        if number in self.traded and number < self.over():
            self.said.add(bar(number, STREAM))
            self.told += self.bars.update(bar(number, STREAM), closed=True)

    def wait(self, seconds):
        self.now_ms += 1000 * seconds

    def stream(self, streamed):
        self.bars.streamed = streamed

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
        found = [bar(number, REST) for number in known if number in self.traded]
        self.said.update(found)
        before = self.bars.next_ms
        self.told += self.bars.healed(found, union((at(n), at(n + 1)) for n in known))
        if self.bars.next_ms == before:
            self.bars.failed(self.now_ms)

    def fail(self):
        if self.asked is not None:
            self.asked = None
            self.bars.failed(self.now_ms)


NUMBERS = st.integers(0, BARS)
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["update", "close", "close"]), NUMBERS),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 6, 30, 60, 61, 300])),
    st.tuples(st.just("stream"), st.booleans()),
    st.tuples(st.just("look"), st.sampled_from([0, GRACE_MS])),
    st.tuples(st.just("answer"), st.sets(NUMBERS, max_size=3)),
    st.just(("fail",)),
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

    spans = [close.covered for close in world.told]
    assert spans[0][0] == START
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(start < end for start, end in spans)
    candles = [close.candle for close in world.told if close.candle]
    assert set(candles) <= world.said
    assert OPEN not in {candle.volume for candle in candles}
    assert [candle.timestamp for candle in candles] == [at(number) for number in sorted(traded)]
    for close in world.told:
        if close.candle:
            assert close.covered[0] <= close.candle.timestamp
            assert close.covered[1] == close.candle.close_time_ms
            assert close.healed is (close.candle.volume == REST)


def test_the_next_bar_is_told_at_once():
    assert new_bars().update(bar(0), True) == [Close(bar(0), (at(0), at(1)), False)]


def test_an_open_bar_is_never_told():
    bars = new_bars()
    assert bars.update(bar(0), False) == []
    assert bars.update(bar(1), False) == []
    assert numbers(bars.update(bar(0), True)) == [(0, False)]


def test_a_bar_is_told_once_however_often_it_closes():
    bars = new_bars()
    bars.update(bar(0), True)
    assert bars.update(bar(0), True) == []
    assert bars.update(bar(0, volume=9.0), True) == []


def test_what_closes_too_early_waits_for_its_turn():
    bars = new_bars()
    assert bars.update(bar(2), True) == bars.update(bar(1), True) == []
    assert numbers(bars.update(bar(0), True)) == [(0, False), (1, False), (2, False)]


def test_what_rest_says_comes_before_what_waited():
    bars = new_bars()
    bars.update(bar(2), True)
    closes = bars.healed([bar(0, REST)], ((at(0), at(2)),))
    assert numbers(closes) == [(0, True), (None, True), (2, False)]
    assert closes[1] == Close(None, (at(1), at(2)), True)


def test_quiet_periods_before_a_bar_are_covered_with_it():
    closes = new_bars().healed([bar(3, REST)], ((at(0), at(4)),))
    assert closes == [Close(bar(3, REST), (at(0), at(4)), True)]


def test_an_answer_that_says_nothing_of_the_next_bar_tells_nothing():
    bars = new_bars()
    assert bars.healed([bar(1, REST)], ((at(1), at(2)),)) == []
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
    bars.update(bar(0), True)
    bars.failed(now_ms)
    assert bars.retry_at_ms == now_ms + RETRY_MS


def test_only_what_is_neither_told_nor_waiting_is_live():
    bars = new_bars()
    bars.update(bar(0), True)
    bars.update(bar(2), True)
    assert [bars.is_live(bar(number, OPEN)) for number in range(4)] == [False, True, False, True]


@pytest.mark.parametrize("from_number", [0, 2])
def test_what_was_not_stored_is_asked_for_again(from_number):
    bars = new_bars()
    for number in range(3):
        bars.update(bar(number), True)
    bars.update(bar(5), True)
    bars.take_back(at(from_number))
    assert bars.overdue(at(6) + GRACE_MS) == (at(from_number), at(6))
    assert bars.update(bar(3), True) == []
    missing = [bar(number, REST) for number in range(from_number, 3)]
    told = bars.healed(missing, ((at(0), at(3)),))
    assert numbers(told) == [(number, True) for number in range(from_number, 3)] + [(3, False)]


def test_what_would_not_be_kept_is_left_out_and_nothing_is_told_again():
    bars = new_bars()
    bars.skip_to(at(3))
    assert bars.update(bar(2), True) == []
    assert bars.update(bar(3), True) == [Close(bar(3), (at(3), at(4)), False)]
    bars.skip_to(at(1))
    assert bars.update(bar(2), True) == []
    assert bars.overdue(at(5) + GRACE_MS) == (at(4), at(5))
