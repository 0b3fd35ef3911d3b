"""What is late by what came before, without any connection."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.stream.silence import (
    GAPS_NEEDED,
    LONGER,
    NEXT,
    WHERE_UNKNOWN,
    ArrivalRate,
    SilenceWatch,
)

LEAST = 30.0


def rate_of(every, times=GAPS_NEEDED + 1, begins=1000.0):
    """Return a rate that was received so many times, and when it was received last."""
    rate, now = ArrivalRate(LEAST), begins
    rate.begin(now)
    for _ in range(times):
        now += every
        rate.note(now)
    return rate, now


def test_what_came_each_second_is_late_after_half_a_minute():
    rate, now = rate_of(1.0)
    assert not rate.is_late(now + LEAST)
    assert rate.is_late(now + LEAST + 1)


def test_what_came_once_a_minute_is_late_after_five_of_them():
    rate, now = rate_of(60.0)
    assert not rate.is_late(now + LONGER * 60 - 1)
    assert rate.is_late(now + LONGER * 60 + 1)


def test_one_long_gap_among_many_changes_little():
    rate, now = rate_of(1.0, 100)
    rate.note(now + 50)
    assert rate.is_late(now + 50 + LEAST + 1)


def test_what_came_a_few_times_only_is_waited_for_longer():
    for times in (0, GAPS_NEEDED):
        rate, now = rate_of(1.0, times)
        assert not rate.is_known
        assert not rate.is_late(now + WHERE_UNKNOWN * LEAST)
        assert rate.is_late(now + WHERE_UNKNOWN * LEAST + 1)


def test_many_at_once_are_received_once():
    rate, now = rate_of(60.0, 1)
    for _ in range(100):
        rate.note(now)
    assert not rate.is_known


def test_a_silence_that_was_accepted_is_a_usual_one():
    rate, now = rate_of(1.0)
    rate.accept(now + 40)
    assert not rate.is_late(now + NEXT * 40 - 1)
    assert rate.is_late(now + NEXT * 40 + 1)


def test_a_silence_that_was_accepted_is_forgotten_after_some_frames():
    rate, now = rate_of(1.0)
    rate.accept(now + 400)
    for _ in range(50):
        now += 1.0
        rate.note(now)
    assert rate.is_late(now + LEAST + 1)


def test_while_nobody_listens_nothing_is_late_and_that_time_does_not_count():
    rate, now = rate_of(1.0)
    rate.begin(None)
    assert not rate.is_late(now + 10_000)
    rate.note(now + 10_000)
    rate.begin(now + 10_001)
    rate.note(now + 10_002)
    assert rate.is_late(now + 10_002 + LEAST + 1)
    assert not ArrivalRate(LEAST).is_late(now)


@given(st.lists(st.floats(0.01, 10_000), min_size=1, max_size=60))
def test_the_longest_silence_lies_between_the_least_and_a_few_of_the_longest_gap(gaps):
    rate, now = ArrivalRate(LEAST), 50.0
    rate.begin(now)
    rate.note(now + 1)
    now += 1
    for gap in gaps:
        now += gap
        rate.note(now)
    least = LEAST if rate.is_known else WHERE_UNKNOWN * LEAST
    assert least <= rate.longest_silence <= max(least, LONGER * (max(gaps) + LEAST))


class Deaf:
    """A connection that answers whatever is asked, and brings nothing."""

    settled, answered, answer_seconds = True, 0, 1.0

    def question(self):
        self.answered += 1

    def end(self, reason):
        raise AssertionError(reason)


class Rest:
    """Knows what time it is, and writes down since when it is asked about trades."""

    def __init__(self, now_ms):
        self.clock, self._now_ms = self, now_ms
        self.asked = threading.Event()
        self.since_ms = None

    def believed_ms(self):
        return self._now_ms

    def has_traded(self, symbols, since_ms):
        self.since_ms = since_ms
        self.asked.set()
        return False


@pytest.mark.parametrize(("told_ms", "since_ms"), [(1_700, 1_700), (0, 1_790)])
def test_where_frames_tell_no_time_trades_are_asked_for_since_the_time_believed(told_ms, since_ms):
    rest, connection, now = Rest(1_790), Deaf(), 0.0
    watch = SilenceWatch(1.0, rest)
    watch.check(connection, (), ["A"], now)
    for _ in range(GAPS_NEEDED + 1):
        now += 1.0
        watch.received_candles(["A"], told_ms, now)
    while not rest.asked.wait(0.01) and now < 100:
        now += 1.0
        watch.check(connection, (), ["A"], now)
    watch.close()
    assert rest.since_ms == since_ms
