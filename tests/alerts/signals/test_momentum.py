"""Levels, reversals, stages and prices, by tables that are worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.signals.momentum import (
    LEVELS,
    Close,
    after,
    changed_stage,
    crossed_level,
    is_reversal,
    levels_from,
    passed_price,
)

MINUTE_MS = 60_000


def steps(numbers):
    """Yield what is known before and after each close of `(value, signal)`, or of a price."""
    known = None
    for at, each in enumerate(numbers):
        value, signal = each if isinstance(each, tuple) else (None, None)
        price = 100.0 if isinstance(each, tuple) else each
        now = after(known, Close(at * MINUTE_MS, price, value, signal))
        yield known, now
        known = now


def crossed(values, first=150.0):
    """Return of each MACD-V which level it crosses; its signal does not matter."""
    numbers = [(value, 0.0) for value in values]
    return [crossed_level(*step, levels_from(first)) for step in steps(numbers)]


def test_levels_are_those_from_the_first_on():
    assert LEVELS == (150, 200, 250, 300, 350, 400)
    assert levels_from(150) == LEVELS
    assert levels_from(300) == (300, 350, 400)
    assert levels_from(175) == (175, 200, 250, 300, 350, 400)
    assert levels_from(500) == (500,)


# Each row: MACD-V close by close, and the level that each rings: the deepest that is passed now and
# was not in this move.
@pytest.mark.parametrize(
    ("values", "rings"),
    [
        ([140, 150, 151], [None, None, 150]),  # at it is not beyond it
        ([140, 263], [None, 250]),  # 150 and 200 too, but the deepest alone
        ([-140, -151, -149, -151], [None, -150, None, -150]),  # a move of its own after -149
        ([140, 160, 210, 190, 210, 260], [None, 150, 200, None, None, 250]),  # 200 once a move
        ([140, 420, 160, 420], [None, 400, None, None]),  # it never was inside
        ([140, 420, 150, 420], [None, 400, None, 400]),
        ([210, -210], [None, -200]),  # the other side is another move
        ([210, 260], [None, 250]),  # where the first one came from is not known
    ],
)
def test_a_level_rings_once_in_a_move_and_the_deepest_alone(values, rings):
    assert crossed(values) == rings


def test_a_rule_from_300_on_is_silent_before():
    assert crossed([140, 290, 310, 290, 310, 351], first=300) == [None, None, 300, None, None, 350]


def reversals(numbers):
    return [is_reversal(now) for _, now in steps(numbers)]


def test_an_oversold_move_turns_where_the_histogram_is_above_five_percent():
    # MACD-V  signal  histogram  5 % of |MACD-V|
    #  -140    -120      -20         7       inside
    #  -190    -150      -40         9.5     falls
    #  -200    -195       -5        10       the histogram rises, below zero still
    #  -200    -210       10        10       at 5 %, not above
    #  -200    -210.1     10.1      10       turns
    #  -180    -190       10         9       has turned already
    numbers = [(-140, -120), (-190, -150), (-200, -195), (-200, -210), (-200, -210.1)]
    assert reversals([*numbers, (-180, -190)]) == [False, False, False, False, True, False]


def test_an_overbought_move_turns_where_the_histogram_is_below_minus_three_percent():
    # MACD-V  signal  histogram  -3 % of |MACD-V|
    #   140     120      20          -4.2    inside
    #   200     150      50          -6      rises
    #   200     206      -6          -6      at it, not below
    #   200     206.1    -6.1        -6      turns
    assert reversals([(140, 120), (200, 150), (200, 206), (200, 206.1)]) == [*[False] * 3, True]


def test_it_turns_once_a_move_and_again_after_macd_v_came_back_inside():
    up = [(-200, -190), (-190, -205)]  # -10 is below 10; 15 is above 9.5
    assert reversals([(-100, -90), *up, *up]) == [False, False, True, False, False]
    assert reversals([*up, (-150, -140), *up]) == [False, True, False, False, True]


def test_a_histogram_that_had_turned_before_the_move_does_not_turn_in_it():
    # -140 - -200 = 60 is above 7 already; -155 - -195 = 40 above 7.75 is no turn.
    assert reversals([(-140, -200), (-155, -195)]) == [False, False]
    # Below it once, it turns like any: -160 - -158 = -2, -155 - -170 = 15 above 7.75.
    assert reversals([(-140, -200), (-155, -195), (-160, -158), (-155, -170)])[-1]


def test_a_stage_changes_against_the_last_close_that_had_one():
    numbers = [(60, 50), (70, 60), (70, 80), 100.0, (60, 70), (0, 0)]  # rallying, … , ranging
    found = [changed_stage(*step) for step in steps(numbers)]
    assert found == [False, False, True, False, False, True]


# The price is 100, and a close at it is neither above nor below.
def test_a_price_is_passed_by_the_first_close_beyond_it():
    prices = [101.0, 99.0, 100.0, 100.5, 102.0, 100.0, 99.5]
    assert [passed_price(*step, 100.0, True) for step in steps(prices)] == [
        False, False, False, True, False, False, False,
    ]  # fmt: skip
    assert [passed_price(*step, 100.0, False) for step in steps(prices)] == [
        False, True, False, False, False, False, True,
    ]  # fmt: skip


VALUES = st.floats(-500, 500)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=30))
def test_no_move_rings_a_level_or_a_reversal_twice(numbers):
    rung = set()
    for before, now in steps(numbers):
        if abs(now.value) <= 150 or (before and before.value * now.value < 0):
            rung = set()
        if level := crossed_level(before, now, LEVELS):
            assert level not in rung
            assert 150 <= abs(level) < abs(now.value)
            rung.add(level)
        if is_reversal(now):
            assert "reversal" not in rung
            rung.add("reversal")
