"""The pace of messages: apart by what an exchange wants, and everybody's turn comes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exchanges.stream.base import MessagePace


def sent(pace, who, until, step=0.01):
    """Return who sent when, where all of `who` always have something to send."""
    found, now = [], 0.0
    while now < until:
        found += [(now, each) for each in who if not pace.wait(each, now)]
        now += step
    return found


@given(seconds=st.sampled_from([0.1, 0.2, 0.25]), count=st.integers(1, 12))
def test_messages_are_apart_and_all_have_their_turn(seconds, count):
    found = sent(MessagePace(seconds), range(count), until=seconds * 3 * count)
    times = [at for at, _ in found]
    assert all(later - at > seconds - 1e-9 for at, later in pairwise(times))
    assert [who for _, who in found[: 2 * count]] == [*range(count), *range(count)]


def test_who_waits_is_told_until_when():
    pace = MessagePace(0.2)
    assert pace.wait("first", 10.0) == 0.0
    assert round(pace.wait("first", 10.05), 3) == 0.15
    assert round(pace.wait("second", 10.05), 3) == 0.35
    assert pace.wait("second", 11.0) > 0.0  # it is the other's turn


def test_who_has_nothing_to_send_any_more_holds_up_nobody():
    pace = MessagePace(0.2)
    assert pace.wait("first", 10.0) == 0.0
    assert pace.wait("gone", 10.1) > 0.0
    pace.leave("gone")
    assert pace.wait("second", 10.2) == 0.0


def test_no_more_go_out_within_an_hour_than_are_allowed_and_half_of_them_are_for_need():
    pace = MessagePace(1.0, per_hour=4)
    for at, scarce in ((0.0, False), (10.0, True), (20.0, True), (30.0, True)):
        assert pace.wait("one", at) == 0.0
        assert pace.is_scarce(at) is scarce
    assert pace.wait("one", 40.0) == 3560.0
    assert pace.wait("one", 3600.0) == 0.0
    assert pace.wait("one", 3601.0) == 9.0
    assert not pace.is_scarce(7201.0)


def test_pings_are_apart_as_all_messages_are_and_count_for_no_hour():
    pace = MessagePace(1.0, per_hour=1)
    assert pace.wait("one", 0.0, counts=False) == 0.0
    assert pace.wait("one", 0.5, counts=False) == 0.5
    assert not pace.is_used_up(0.5)
    assert pace.wait("one", 1.0) == 0.0
    assert pace.is_used_up(1.0)
    assert pace.wait("one", 2.0) == 3599.0
    assert pace.wait("one", 2.0, counts=False) == 0.0


def test_where_no_hour_is_counted_nothing_is_ever_scarce():
    pace = MessagePace(0.0)
    assert not any(pace.wait("one", 0.0) for _ in range(1000))
    assert not pace.is_scarce(0.0)
