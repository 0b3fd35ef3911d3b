"""Longer bars against the same thing done slowly, minute by minute."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.aggregate import aggregate, join
from livermore.market.candle import Candle
from livermore.market.columns import read_columns
from livermore.market.coverage import union
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe

M1, M5, M15, H1 = Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1
START = Timeframe.D1.floor(1_790_000_000_000)
PRICES = st.lists(st.integers(1, 20).map(float), min_size=4, max_size=4)


@st.composite
def bars(draw, timeframe=M1, periods=40):
    """Draw ascending bars, with holes where nothing was traded."""
    found = []
    for number in sorted(draw(st.sets(st.integers(0, periods - 1), max_size=periods))):
        low, first, last, high = sorted(draw(PRICES))
        volume = draw(st.integers(0, 10**6)) / 1000
        opened = START + number * timeframe.ms
        found.append(Candle(opened, first, high, low, last, volume, timeframe))
    return found


def bar(minute, price=10.0, volume=1.0, timeframe=M1):
    return Candle(START + minute * timeframe.ms, price, price, price, price, volume, timeframe)


@given(bars(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4))
def test_a_bar_is_told_exactly_where_all_of_its_minutes_are_known_and_some_traded(found, spans):
    coverage = union((START + a * M1.ms, START + b * M1.ms) for a, b in spans)
    known = {minute for a, b in spans for minute in range(a, b)}
    traded = {(each.timestamp - START) // M1.ms for each in found}
    told = aggregate(found, coverage, M5)
    assert [(each.timestamp - START) // M5.ms for each in told] == [
        number
        for number in range(8)
        if {*range(5 * number, 5 * number + 5)} <= known
        and traded & {*range(5 * number, 5 * number + 5)}
    ]


@given(bars())
def test_a_bar_holds_what_its_parts_hold(found):
    for told in aggregate(found, ((START, START + 40 * M1.ms),), M5):
        parts = [each for each in found if M5.floor(each.timestamp) == told.timestamp]
        assert (told.open, told.close) == (parts[0].open, parts[-1].close)
        assert told.high == max(part.high for part in parts)
        assert told.low == min(part.low for part in parts)
        assert told.volume == pytest.approx(sum(part.volume for part in parts))
        assert told.timeframe is M5


@given(bars())
def test_two_steps_up_come_to_the_same_as_one(found):
    covered = ((START, START + 60 * M1.ms),)
    assert aggregate(aggregate(found, covered, M5), covered, M15) == aggregate(found, covered, M15)


@pytest.mark.parametrize("timeframe", SHORTEST_FIRST[1:])
def test_a_period_that_lacks_its_last_minute_is_not_told(timeframe):
    minutes = [bar(number) for number in range(3)]
    whole = ((START, START + timeframe.ms),)
    assert len(aggregate(minutes, whole, timeframe)) == 1
    assert aggregate(minutes, ((START, START + timeframe.ms - M1.ms),), timeframe) == []
    assert aggregate(minutes, ((START + M1.ms, START + timeframe.ms),), timeframe) == []


def test_known_stretches_on_both_sides_of_a_hole_do_not_make_a_bar():
    minutes = [bar(0), bar(1), bar(3), bar(4)]
    coverage = ((START, START + 2 * M1.ms), (START + 3 * M1.ms, START + 5 * M1.ms))
    assert aggregate(minutes, coverage, M5) == []


def test_quiet_minutes_make_no_difference_and_a_quiet_period_no_bar():
    covered = ((START, START + 15 * M1.ms),)
    told = aggregate([bar(1, 10.0), bar(11, 12.0)], covered, M5)
    assert [(each.timestamp, each.close) for each in told] == [
        (START, 10.0),
        (START + 10 * M1.ms, 12.0),
    ]


def test_volumes_add_up_as_people_add_them():
    assert join([bar(0, volume=0.1), bar(1, volume=0.2)], M5).volume == 0.3
    assert join([bar(minute, volume=0.1) for minute in range(10)], M15).volume == 1.0


def test_a_joined_bar_opens_where_its_period_does():
    joined = join([bar(7), bar(8)], H1)
    assert (joined.timestamp, joined.timeframe) == (START, H1)


def test_nothing_makes_nothing():
    assert aggregate([], ((START, START + H1.ms),), H1) == []
    assert aggregate([bar(0)], (), M5) == []


def known(minute, *columns):
    return replace(bar(minute), columns=read_columns(columns))


def test_columns_are_summed_where_all_parts_have_them():
    parts = [known(0, "0.1", 2, "0.1", "7"), known(1, 0.2, 3, 0.2, 0.5)]
    assert join(parts, M5).columns == (0.3, 5, 0.3, 7.5)
    assert join([*parts, bar(2)], M5).columns is None
    assert join([*parts, known(2, "n/a", 1, "1", "1")], M5).columns is None
