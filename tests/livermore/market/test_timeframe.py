import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.timeframe import (
    LONGEST_FIRST,
    SHORTEST_FIRST,
    Timeframe,
    parse_timeframe,
)

timeframes = st.sampled_from(Timeframe)
times = st.integers(0, 4_102_444_800_000)


@given(timeframes, times)
def test_a_time_lies_between_its_floor_and_the_next_boundary(timeframe, time_ms):
    floor = timeframe.floor(time_ms)
    assert not floor % timeframe.ms
    assert floor <= time_ms < floor + timeframe.ms


@given(timeframes, times)
def test_ceil_is_the_first_boundary_that_is_not_before(timeframe, time_ms):
    ceil = timeframe.ceil(time_ms)
    assert not ceil % timeframe.ms
    assert ceil - timeframe.ms < time_ms <= ceil


@given(timeframes, timeframes, times)
def test_a_boundary_of_a_longer_timeframe_is_one_of_every_shorter(one, other, time_ms):
    shorter, longer = sorted((one, other), key=lambda timeframe: timeframe.ms)
    assert not longer.floor(time_ms) % shorter.ms


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60), ("4h", 240), ("1d", 1440)],
)
def test_a_timeframe_is_its_text_and_knows_its_length(text, minutes):
    timeframe = parse_timeframe(text)
    assert timeframe == text == str(timeframe) == f"{timeframe}"
    assert hash(timeframe) == hash(text)
    assert timeframe.ms == minutes * 60_000


def test_the_orders_hold_all_six():
    assert [*SHORTEST_FIRST] == ["1m", "5m", "15m", "1h", "4h", "1d"]
    assert [*LONGEST_FIRST] == ["1d", "4h", "1h", "15m", "5m", "1m"]


@pytest.mark.parametrize("text", ["1M", "2h", "60", "", " 1m", "1m\n", "١m"])
def test_another_text_is_refused_with_the_six_that_are_known(text):
    with pytest.raises(ValueError, match=r"known are 1m 5m 15m 1h 4h 1d$") as refusal:
        parse_timeframe(text)
    assert repr(text) in str(refusal.value)
