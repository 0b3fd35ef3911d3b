"""MACD-V and its parts: by hand, against TA-Lib, and against themselves computed another way."""

import random
from dataclasses import asdict, fields
from math import isfinite, isnan, nan

import numpy
import pytest
import talib
from hypothesis import example, given
from hypothesis import strategies as st

from livermore.market.candle import Candle
from livermore.market.indicators import (
    MacdV,
    MacdVState,
    Reason,
    Stage,
    atr,
    ema,
    macd_v,
    macd_v_of_rows,
    macd_v_series,
    stage_of,
    true_range,
)
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe

M1, M5 = Timeframe.M1, Timeframe.M5
START = Timeframe.D1.floor(1_790_000_000_000)
SEEDS = range(5)


def row(number, low, close, high, volume=1.0, timeframe=M1):
    return [START + number * timeframe.ms, close, high, low, close, volume]


def walk(seed, bars=400, liquidity=1.0, price=100.0):
    """Return the rows of a random walk; each bar traded with a chance, the first one surely."""
    rng, rows = random.Random(seed), []
    for number in range(bars):
        if number and rng.random() >= liquidity:
            continue
        opened = price * (1 + rng.gauss(0, 0.02))  # away from the last close: ranges reach to it
        price = opened * (1 + rng.gauss(0, 0.01))
        high = max(opened, price) * (1 + rng.random() / 100)
        low = min(opened, price) * (1 - rng.random() / 100)
        rows.append([START + number * M1.ms, opened, high, low, price, rng.random() + 0.1])
    return rows


def trend(step, half_range, bars=40):
    """Return rows whose closes go in equal steps: each EMA lags (n - 1) / 2 steps from its seed."""
    closes = [1000.0 + step * number for number in range(bars)]
    return [row(i, close - half_range, close, close + half_range) for i, close in enumerate(closes)]


def still(bars, price=100.0, volume=1.0, first=0):
    return [row(first + number, price, price, price, volume) for number in range(bars)]


def candles(rows, timeframe=M1):
    return [Candle(*each, timeframe) for each in rows]


def column(rows, name):
    at = ["timestamp", "open", "high", "low", "close", "volume"].index(name)
    return numpy.array([each[at] for each in rows], dtype=float)


def bar_number(row):
    return (row[0] - START) // M1.ms


@st.composite
def markets(draw):
    """Draw rows with gaps, quiet bars, standstills and jumps, one in six bars empty."""
    rows, number, price = [], 0, 100.0
    for _ in range(draw(st.integers(0, 60))):
        number += draw(st.sampled_from([1, 1, 1, 1, 1, 2, 7]))
        step = draw(st.sampled_from([0.0, 0.0, 0.25, -0.25, 3.1, -2.7]))
        opened, price = price, max(price + step, 1.0)
        high, low = max(opened, price), min(opened, price)
        high += draw(st.sampled_from([0.0, 0.3]))
        rows.append(
            [START + number * M1.ms, opened, high, low, price, draw(st.sampled_from([0.0, 1.0]))]
        )
    return rows


# What is worked by hand.


def test_an_ema_begins_with_the_mean_and_then_goes_half_of_the_way():
    assert ema([2, 4, 6, 8, 12, 9], 3)[2:] == [4, 6, 9, 9]
    assert all(map(isnan, ema([2, 4, 6, 8, 12, 9], 3)[:2]))


def test_a_true_range_reaches_to_the_close_before():
    high, low, close = [10, 12, 11, 15, 14, 3], [8, 9, 10, 13, 5, 2], [9, 11, 10, 14, 6, 2]
    assert true_range(high, low, close)[1:] == [3, 1, 5, 9, 4]
    assert isnan(true_range(high, low, close)[0])


def test_an_atr_begins_with_the_mean_of_the_second_to_the_fourth_bar_and_then_goes_a_third():
    high, low, close = [10, 12, 11, 15, 14, 20], [8, 9, 10, 13, 5, 18], [9, 11, 10, 14, 6, 19]
    assert atr(high, low, close, 3)[3:] == [3, 5, 8]
    assert all(map(isnan, atr(high, low, close, 3)[:3]))


# 5.5 and 12.5 steps behind the close: their difference is 7 steps, and the ATR the bar's height.
@pytest.mark.parametrize(
    ("step", "half_range", "value", "stage"),
    [
        (1, 1.0, 350, Stage.OVERBOUGHT),
        (1, 3.5, 100, Stage.RALLYING),
        (1, 7.0, 50, Stage.RANGING),
        (1, 10.0, 35, Stage.RANGING),
        (-1, 10.0, -35, Stage.RANGING),
        (-1, 3.5, -100, Stage.REVERSING),
        (-1, 1.0, -350, Stage.OVERSOLD),
    ],
)
def test_a_steady_trend_stands_at_its_signal(step, half_range, value, stage):
    last = 1000 + 39 * step
    assert asdict(macd_v_of_rows(trend(step, half_range), M1)) == {
        "value": value,
        "signal": value,
        "histogram": 0,
        "ema12": last - 5.5 * step,
        "ema26": last - 12.5 * step,
        "atr": 2 * half_range,
        "stage": stage,
        "seeded": True,
        "n_eff": 39,
        "span_bars": 40,
        "liquidity": 1.0,
        "first_ms": START,
        "last_ms": START + 39 * M1.ms,
        "reason": None,
    }


# After 40 bars of a trend in steps of 1 the close is 1039, the EMAs are 1033.5 and 1026.5, the ATR
# is 2, MACD-V and its signal are 350. Then:
#
#    low  close    high   EMA12         EMA26         range  ATR           MACD-V       signal
#   1039  1215.5   1262   + 182 / 6.5   + 189 / 13.5  223    + 221 / 26
#                         = 1061.5      = 1040.5             = 10.5        200          320
#  905.5   905.5   1228   - 156 / 6.5   - 135 / 13.5  322.5  + 312 / 26
#                         = 1037.5      = 1030.5             = 22.5        280 / 9      2360 / 9
#         no trade        - 132 / 6.5   - 125 / 13.5  none   = 22.5        -17.9930     206.1792
QUIET_VALUE = (7 - 132 / 6.5 + 125 / 13.5) / 22.5 * 100
BY_HAND = [
    (row(40, 1039.0, 1215.5, 1262.0), 1061.5, 1040.5, 10.5, 200, 320),
    (row(41, 905.5, 905.5, 1228.0), 1037.5, 1030.5, 22.5, 280 / 9, 2360 / 9),
    (
        row(42, 905.5, 905.5, 905.5, volume=0.0),
        1037.5 - 132 / 6.5,
        1030.5 - 125 / 13.5,
        22.5,
        QUIET_VALUE,
        2360 / 9 * 0.8 + QUIET_VALUE * 0.2,
    ),
]


def test_a_table_worked_by_hand():
    state = MacdVState(M1)
    state.extend(trend(1, 1.0))
    for new, *numbers in BY_HAND:
        found = state.update(*candles([new]))
        shown = [found.ema12, found.ema26, found.atr, found.value, found.signal]
        assert shown == pytest.approx(numbers, rel=1e-12)
        assert found.histogram == found.value - found.signal
        assert found.stage == "retracing"
    assert (found.n_eff, found.span_bars, found.liquidity) == (41, 43, 42 / 43)


# Against TA-Lib.


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [2, 9, 12, 26, 200])
def test_emas_and_atrs_are_those_of_ta_lib(seed, n):
    rows = walk(seed)
    high, low, close = (column(rows, name) for name in ("high", "low", "close"))
    numpy.testing.assert_allclose(ema(close, n), talib.EMA(close, n), rtol=1e-13)
    numpy.testing.assert_allclose(true_range(high, low, close), talib.TRANGE(high, low, close))
    numpy.testing.assert_allclose(
        atr(high, low, close, n), talib.ATR(high, low, close, n), rtol=1e-12
    )


def oracle(rows):
    """Return MACD-V, signal and histogram by TA-Lib, for each row of a window that has gaps.

    EMAs over closes that are filled; the ATR over the ranges of the rows, laid over the gaps.
    """
    traded = numpy.array([bar_number(each) for each in rows])
    which = numpy.searchsorted(traded, numpy.arange(traded[-1] + 1), side="right") - 1
    high, low, close = (column(rows, name) for name in ("high", "low", "close"))
    filled = close[which]
    average = talib.ATR(high, low, close, 26)[which]
    value = (talib.EMA(filled, 12) - talib.EMA(filled, 26)) / average * 100
    first = numpy.flatnonzero(numpy.isfinite(value))[0]
    signal = numpy.full(len(value), nan)
    signal[first:] = talib.EMA(value[first:], 9)
    return [each[traded] for each in (value, signal, value - signal)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("liquidity", [1.0, 0.9, 0.5, 0.1])
def test_macd_v_is_what_ta_libs_parts_make_of_it(seed, liquidity):
    rows = walk(seed, bars=600, liquidity=liquidity)
    found = macd_v_series(rows, M1)
    for ours, theirs in zip(found, oracle(rows), strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-9)
    assert sum(map(isfinite, found.signals)) > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_the_parts_of_a_result_are_the_functions_of_this_module_to_the_bit(seed):
    rows = walk(seed)
    high, low, close = ([each[at] for each in rows] for at in (2, 3, 4))
    found = macd_v_of_rows(rows, M1)
    assert found.ema12 == ema(close, 12)[-1]
    assert found.ema26 == ema(close, 26)[-1]
    assert found.atr == atr(high, low, close, 26)[-1]
    values = macd_v_series(rows, M1).values
    assert found.signal == ema(values, 9)[-1]


# Arrays, lists, what is refused.


def test_a_list_gives_a_list_and_an_array_an_array():
    numbers = [float(n * n % 7) for n in range(30)]
    array = numpy.array(numbers)
    assert type(ema(numbers, 5)) is list
    assert type(ema(array, 5)) is numpy.ndarray
    for one, other in [
        (ema(numbers, 5), ema(array, 5)),
        (atr(numbers, numbers, numbers, 5), atr(array, array, array, 5)),
        (true_range(numbers, numbers, numbers), true_range(array, array, array)),
    ]:
        assert type(other) is numpy.ndarray
        assert numpy.array_equal(one, other, equal_nan=True)
    assert array.tolist() == numbers


def test_whole_numbers_and_read_only_arrays_make_floats():
    whole = numpy.arange(10)
    whole.flags.writeable = False
    assert ema(whole, 3).dtype == float
    assert ema(whole, 3)[2:].tolist() == list(range(1, 9))
    assert ema(numpy.array([]), 3).shape == (0,)
    assert ema([], 3) == []


def test_an_average_goes_on_without_a_value_that_is_missing():
    with_holes = ema([nan, 2, 4, nan, 6, 8], 3)
    assert with_holes[4:] == [4, 6]
    assert all(map(isnan, with_holes[:4]))
    assert isnan(ema([2, 4, 6, nan, 8], 3)[3])


def test_a_missing_bar_has_no_range_and_the_next_one_reaches_over_it():
    high, low, close = [10, nan, 15, 16], [8, nan, 13, 14], [9, nan, 14, 15]
    assert true_range(high, low, close)[2:] == [6, 2]
    assert isnan(true_range(high, low, close)[1])


@pytest.mark.parametrize("n", [0, -1])
def test_an_average_over_nothing_is_refused(n):
    with pytest.raises(ValueError, match="1 value or more"):
        ema([1.0], n)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError):
        atr([1.0, 2.0], [1.0, 2.0], [1.0], 2)


# Two ways, the same numbers.


@given(markets())
def test_candle_by_candle_is_bit_for_bit_the_whole_window(rows):
    state = MacdVState(M1)
    found = candles(rows)
    for number, candle in enumerate(found, 1):
        assert state.update(candle) == macd_v(found[:number], M1)


@given(markets(), st.lists(st.integers(1, 30), max_size=6))
def test_however_a_window_is_handed_over_it_is_the_same(rows, sizes):
    state, at = MacdVState(M1), 0
    for size in [*sizes, len(rows)]:
        state.extend(rows[at : at + size])
        at += size
    assert state.result() == macd_v_of_rows(rows, M1) == macd_v(candles(rows), M1)


@given(markets(), st.integers(-20, 20))
def test_other_units_of_the_price_change_nothing(rows, power):
    scale = 2.0**power
    scaled = [[t, *(price * scale for price in prices), v] for t, *prices, v in rows]
    one, other = macd_v_of_rows(rows, M1), macd_v_of_rows(scaled, M1)
    for name in ("value", "signal", "histogram", "stage", "reason", "liquidity"):
        assert getattr(one, name) == getattr(other, name)
    assert one.atr is None or one.atr * scale == other.atr


@pytest.mark.parametrize("timeframe", SHORTEST_FIRST)
def test_every_timeframe_counts_in_its_own_bars(timeframe):
    numbers = [*range(30), *range(35, 60)]
    rows = [row(n, 9.0, 10.0 + n % 3, 13.0, timeframe=timeframe) for n in numbers]
    found = macd_v_of_rows(rows, timeframe)
    assert (found.n_eff, found.span_bars, found.liquidity) == (54, 60, 55 / 60)
    assert (found.first_ms, found.last_ms) == (START, START + 59 * timeframe.ms)


@given(markets())
def test_a_series_says_of_every_candle_what_was_known_then(rows):
    series = macd_v_series(rows, M1)
    for numbers, name in zip(series, ("value", "signal", "histogram"), strict=True):
        known = [getattr(macd_v_of_rows(rows[: n + 1], M1), name) for n in range(len(rows))]
        assert [None if isnan(each) else each for each in numbers] == known


# Sparse pairs.


@pytest.mark.parametrize("seed", SEEDS)
def test_an_exchange_that_leaves_empty_bars_out_and_one_that_writes_them_agree(seed):
    rows = walk(seed, liquidity=0.4)
    written = []
    for each in rows:
        while written and written[-1][0] + M1.ms < each[0]:
            close = written[-1][4]
            written.append([written[-1][0] + M1.ms, close, close, close, close, 0.0])
        written.append(each)
    assert len(written) > 2 * len(rows)
    assert macd_v_of_rows(written, M1) == macd_v_of_rows(rows, M1)


@pytest.mark.parametrize(("low", "high"), [(99.0, 100.0), (100.0, 101.0), (101.0, 101.0)])
def test_a_bar_that_moved_counts_whatever_its_volume_says(low, high):
    rows = [row(0, 100.0, 100.0, 100.0), row(1, low, high, high, volume=0.0)]
    assert macd_v_of_rows(rows, M1).n_eff == 1


def test_a_long_gap_leaves_the_atr_as_it_was():
    rows = walk(1, bars=100)
    before = macd_v_of_rows(rows, M1)
    close = rows[-1][4]
    after = macd_v_of_rows([*rows, row(1000, close - before.atr, close, close)], M1)
    assert after.atr == pytest.approx(before.atr, rel=1e-14)
    assert after.value == pytest.approx(0, abs=1e-6)
    assert (after.n_eff, after.span_bars) == (100, 1001)


def test_a_pair_that_hardly_trades_has_no_value_whatever_its_span():
    rows = [row(100 * n, 9.0, 10.0 + n % 2, 12.0) for n in range(26)]
    found = macd_v_of_rows(rows, M1)
    assert (found.value, found.atr, found.stage) == (None, None, None)
    assert (found.reason, found.n_eff, found.span_bars) == ("low trading activity", 25, 2501)
    assert found.ema26 is not None
    more = macd_v_of_rows([*rows, row(2501, 9.0, 10.0, 12.0)], M1)
    assert more.value is not None
    assert more.reason == "too few candles"
    assert macd_v_of_rows([*rows, row(2501, 9.0, 10.0, 12.0), row(2509, 9, 10, 12)], M1).seeded


@pytest.mark.parametrize(
    ("count", "known"),
    [
        (0, {"first_ms": None, "liquidity": None}),
        (1, {"first_ms": START, "liquidity": 1.0, "n_eff": 0}),
        (11, {"ema12": None}),
        (12, {"ema12": 1012 - 1 - 5.5, "ema26": None}),
        (26, {"ema26": 1026 - 1 - 12.5, "atr": None, "value": None, "n_eff": 25}),
        (27, {"atr": 2, "value": 350, "signal": None, "histogram": None, "stage": None}),
        (34, {"value": 350, "signal": None, "seeded": False}),
    ],
)
def test_too_few_candles_give_what_they_can(count, known):
    found = macd_v_of_rows(trend(1, 1.0, bars=count), M1)
    for name, value in known.items():
        assert getattr(found, name) == (value if value is None else pytest.approx(value)), name
    assert (found.reason, found.seeded, found.span_bars) == (Reason.TOO_FEW_CANDLES, False, count)


def test_thirty_five_candles_are_enough():
    found = asdict(macd_v_of_rows(trend(1, 1.0, bars=35), M1))
    assert [name for name, value in found.items() if value is None] == ["reason"]
    assert found["seeded"]


# A market that stands still.


def test_a_market_that_never_moved_has_no_value():
    found = macd_v_of_rows(still(100), M1)
    assert (found.value, found.signal, found.stage) == (None, None, None)
    assert (found.reason, found.atr, found.seeded) == ("no price movement", 0.0, False)


def test_without_a_trade_since_the_first_bar_it_is_trade_that_lacks():
    found = macd_v_of_rows(still(100, volume=0.0), M1)
    assert (found.reason, found.n_eff, found.liquidity) == ("low trading activity", 0, 0.01)


def test_the_first_move_after_a_standstill_gives_a_value():
    found = macd_v_of_rows([*still(100), row(100, 100.0, 101.0, 101.0)], M1)
    assert found.value == pytest.approx((2 / 13 - 2 / 27) * 26 * 100)
    assert (found.signal, found.reason) == (None, "too few candles")
    steps = [row(n, 100.0, 101.0, 101.0) for n in range(100, 109)]
    assert macd_v_of_rows([*still(100), *steps], M1).seeded


@pytest.mark.parametrize("price", [0.1, 1.0, 99.99, 64_123.45])
def test_a_standstill_never_shows_how_its_averages_were_rounded(price):
    rows = walk(3, price=price)
    last = rows[-1][4]
    quiet = still(3000, last, first=len(rows))
    values = macd_v_series([*rows, *quiet], M1).values[len(rows) :]
    shown = [abs(value) for value in values if not isnan(value)]
    assert max(shown[200:]) < 1
    assert max(shown[350:]) < 0.01
    assert isnan(values[-1])
    found = macd_v_of_rows([*rows, *quiet], M1)
    assert (found.reason, found.value, found.seeded) == ("no price movement", None, False)


PRICES = st.one_of(st.floats(1e-300, 1.7e308), st.sampled_from([5e-324, 1e-8, 1.0, 1.7e308]))


@given(st.lists(st.tuples(PRICES, PRICES, PRICES), min_size=36, max_size=50), st.integers(1, 40))
@example([(1.7e308, 1.7e308, 1.7e308)] * 40, 1)
@example([(5e-324, 5e-324, 5e-324)] * 40, 1)
@example([(1.0, 1.7e308, 1.7e308), (5e-324, 5e-324, 5e-324)] * 20, 2)
def test_no_prices_make_anything_that_is_not_finite(prices, gap):
    rows = [row(n * gap, *sorted(each)) for n, each in enumerate(prices)]
    known = [each for each in asdict(macd_v_of_rows(rows, M1)).values() if type(each) is float]
    assert all(map(isfinite, known))
    assert known


def test_rows_with_more_columns_come_to_the_same():
    rows = walk(5, liquidity=0.8)
    longer = [[*each, 20.5, 3, 4.0, 8.25] for each in rows]
    assert macd_v_of_rows(longer, M1) == macd_v_of_rows(rows, M1)
    assert macd_v_series(longer, M1) == macd_v_series(rows, M1)


# Stages.

EDGES = [-150.0, -50.0, 0.0, 50.0, 150.0]
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.floats(-200, 200), st.sampled_from(EDGES)
)


@given(NUMBERS, NUMBERS)
def test_every_value_and_signal_have_a_stage_and_the_rules_agree(value, signal):
    above, below = value > signal, value < signal
    rules = {
        Stage.OVERSOLD: value < -150,
        Stage.OVERBOUGHT: value > 150 and above,
        Stage.RALLYING: 50 <= value <= 150 and above,
        Stage.REBOUNDING: -150 <= value < 50 and above,
        Stage.RETRACING: value > -50 and below,
        Stage.REVERSING: -150 <= value <= -50 and below,
        Stage.RANGING: -50 <= value <= 50 and not above and not below,
    }
    holding = [stage for stage, holds in rules.items() if holds]
    at_signal_outside = value == signal and (value > 50 or -150 <= value < -50)
    assert len(holding) == (0 if at_signal_outside else 1)
    assert not holding or stage_of(value, signal) is holding[0]
    assert isinstance(stage_of(value, signal), Stage)


@pytest.mark.parametrize(
    ("value", "signal", "stage"),
    [
        (-150.01, -200, "oversold"),
        (-150.01, -150.01, "oversold"),
        (-150.01, 0, "oversold"),
        (-150, -151, "rebounding"),
        (-150, -150, "reversing"),
        (-150, 0, "reversing"),
        (-100, -100, "reversing"),
        (-50, 0, "reversing"),
        (-50, -50, "ranging"),
        (-50, -51, "rebounding"),
        (-49.99, 0, "retracing"),
        (0, 0, "ranging"),
        (49.99, 0, "rebounding"),
        (50, 49, "rallying"),
        (50, 50, "ranging"),
        (50, 51, "retracing"),
        (100, 100, "rallying"),
        (150, 100, "rallying"),
        (150, 150, "rallying"),
        (150.01, 150, "overbought"),
        (150.01, 150.01, "overbought"),
        (150.01, 151, "retracing"),
    ],
)
def test_where_two_stages_meet(value, signal, stage):
    assert stage_of(value, signal) == stage


# What is refused.


@pytest.mark.parametrize("number", [0, 39, 20])
def test_a_candle_that_is_not_after_the_last_is_refused_and_changes_nothing(number):
    state = MacdVState(M1)
    state.extend(trend(1, 1.0))
    known = state.result()
    with pytest.raises(ValueError, match="does not follow"):
        state.update(*candles([row(number, 10.0, 10.0, 10.0)]))
    with pytest.raises(ValueError, match="does not follow"):
        state.extend([row(40, 9.0, 9.0, 9.0), row(40, 9.0, 9.0, 9.0)])
    assert state.result() == known


def test_candles_of_another_timeframe_are_refused():
    fives = candles([row(0, 9.0, 9.0, 9.0, timeframe=M5)], M5)
    with pytest.raises(ValueError, match="5m is none of 1m"):
        MacdVState(M1).update(*fives)
    with pytest.raises(ValueError, match="5m is none of 1m"):
        macd_v([*candles(trend(1, 1.0)), *fives], M1)


@pytest.mark.parametrize("number", [7, -1])
def test_rows_off_the_boundary_are_refused(number):
    rows = trend(1, 1.0)
    rows[number][0] += 1
    with pytest.raises(ValueError, match="does not follow"):
        macd_v_of_rows(rows, M1)


def test_a_result_has_what_readers_are_promised():
    assert [each.name for each in fields(MacdV)] == [
        "value", "signal", "histogram", "ema12", "ema26", "atr", "stage", "seeded", "n_eff",
        "span_bars", "liquidity", "first_ms", "last_ms", "reason",
    ]  # fmt: skip
