"""What is late by what came before, without any connection."""

from hypothesis import given
from hypothesis import strategies as st

from exchanges.stream.silence import GAPS_HEARD, LONGER, NEXT, UNHEARD, Rhythm

LEAST = 30.0


def rhythm_of(every, times=GAPS_HEARD + 1, begins=1000.0):
    """Return a rhythm that was heard so many times, and when it was heard last."""
    rhythm, now = Rhythm(LEAST), begins
    rhythm.begin(now)
    for _ in range(times):
        now += every
        rhythm.heard(now)
    return rhythm, now


def test_what_came_each_second_is_late_after_half_a_minute():
    rhythm, now = rhythm_of(1.0)
    assert not rhythm.is_late(now + LEAST)
    assert rhythm.is_late(now + LEAST + 1)


def test_what_came_once_a_minute_is_late_after_five_of_them():
    rhythm, now = rhythm_of(60.0)
    assert not rhythm.is_late(now + LONGER * 60 - 1)
    assert rhythm.is_late(now + LONGER * 60 + 1)


def test_one_long_gap_among_many_changes_little():
    rhythm, now = rhythm_of(1.0, 100)
    rhythm.heard(now + 50)
    assert rhythm.is_late(now + 50 + LEAST + 1)


def test_what_came_a_few_times_only_is_waited_for_longer():
    for times in (0, GAPS_HEARD):
        rhythm, now = rhythm_of(1.0, times)
        assert not rhythm.is_known
        assert not rhythm.is_late(now + UNHEARD * LEAST)
        assert rhythm.is_late(now + UNHEARD * LEAST + 1)


def test_many_at_once_are_heard_once():
    rhythm, now = rhythm_of(60.0, 1)
    for _ in range(100):
        rhythm.heard(now)
    assert not rhythm.is_known


def test_a_silence_that_was_accepted_is_a_usual_one():
    rhythm, now = rhythm_of(1.0)
    rhythm.accept(now + 40)
    assert not rhythm.is_late(now + NEXT * 40 - 1)
    assert rhythm.is_late(now + NEXT * 40 + 1)


def test_a_silence_that_was_accepted_is_forgotten_after_some_frames():
    rhythm, now = rhythm_of(1.0)
    rhythm.accept(now + 400)
    for _ in range(50):
        now += 1.0
        rhythm.heard(now)
    assert rhythm.is_late(now + LEAST + 1)


def test_while_nobody_listens_nothing_is_late_and_that_time_does_not_count():
    rhythm, now = rhythm_of(1.0)
    rhythm.begin(None)
    assert not rhythm.is_late(now + 10_000)
    rhythm.heard(now + 10_000)
    rhythm.begin(now + 10_001)
    rhythm.heard(now + 10_002)
    assert rhythm.is_late(now + 10_002 + LEAST + 1)
    assert not Rhythm(LEAST).is_late(now)


@given(st.lists(st.floats(0.01, 10_000), min_size=1, max_size=60))
def test_patience_lies_between_the_least_and_a_few_of_the_longest_gap(gaps):
    rhythm, now = Rhythm(LEAST), 50.0
    rhythm.begin(now)
    rhythm.heard(now + 1)
    now += 1
    for gap in gaps:
        now += gap
        rhythm.heard(now)
    least = LEAST if rhythm.is_known else UNHEARD * LEAST
    assert least <= rhythm.patience <= max(least, LONGER * (max(gaps) + LEAST))
