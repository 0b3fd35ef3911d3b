"""A pair goes from close to close, over any number of restarts, as over all closes at once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.signals.choice import Choice
from alerts.signals.momentum import LEVELS
from alerts.signals.pair_signals import PairSignals, Told, steps_of
from livermore.market.indicators import MacdVState
from livermore.market.timeframe import Timeframe
from tests.alerts.signals.market import (
    BEGIN_MS,
    BEYOND_150,
    BEYOND_200,
    BTC,
    MINUTE_MS,
    TURNS,
    candles,
    closes_of_drop,
    opens,
)
from warmup.cache.indicator_window import ROW

ALL = Choice({LEVELS: [1]}, [2], [3], {("price_below", 95.0): [4]})


def rung(steps):
    """Return what rings, with when."""
    return [(step.now.time_ms, each.kind, each.which) for step in steps for each in ALL.rung(step)]


def event_of(candle):
    return dict(zip(ROW, candle.values(), strict=True))


def members_of(found):
    return [str(candle.row()).encode() for candle in found]


def covered(found):
    return ((found[0].timestamp, found[-1].close_time_ms),)


def test_a_drop_rings_on_the_closes_where_the_hand_calculation_puts_it():
    found = candles(closes_of_drop(25))
    steps = list(steps_of(MacdVState(Timeframe.M1), [each.values() for each in found]))
    by_number = {opens(n): n for n in range(-80, 26)}
    told = [(by_number[time_ms], kind, which) for time_ms, kind, which in rung(steps)]
    assert [each for each in told if each[1] != "stage"] == [
        (1, "price_below", "95.0"),
        (BEYOND_150, "level", "-150"),
        (BEYOND_200, "level", "-200"),
        (TURNS, "reversal", "up"),
    ]
    # 3: -140.5 below its signal is reversing; 4: oversold; 21: -144.6 above its signal.
    assert [(n, stage) for n, kind, stage in told if kind == "stage"][-3:] == [
        (1, "reversing"), (4, "oversold"), (21, "rebounding"),
    ]  # fmt: skip


PRICES = st.lists(st.floats(50, 200).map(lambda each: round(each, 2)), min_size=1, max_size=40)


@settings(max_examples=40)
@given(PRICES, st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_any_restarts_and_readings_in_between_ring_the_same(prices, restarts, readings):
    found = candles([100.0 + at % 3 for at in range(60)] + prices)
    rows = [candle.values() for candle in found]
    whole = rung(list(steps_of(MacdVState(Timeframe.M1), rows)))
    state, steps = PairSignals(BTC, found[59].timestamp), []
    for at, candle in enumerate(found[60:]):
        if at in restarts:
            state = PairSignals.of_kept(BTC, state.kept())
        step = None if at in readings else state.advance(event_of(candle), None)
        if step:
            steps.append(step)
        else:
            past = found[: 61 + at]
            steps += state.read(members_of(past), covered(past))
    assert rung(steps) == [each for each in whole if each[0] > found[59].timestamp]


def test_what_it_missed_is_read_in_order_and_nothing_twice():
    found = candles(closes_of_drop(20))
    state = PairSignals(BTC, opens(2))
    steps = state.read(members_of(found), covered(found))
    assert [step.now.time_ms for step in steps] == [opens(n) for n in range(3, 21)]
    assert state.read(members_of(found), covered(found)) == []


def test_a_gap_that_coverage_does_not_vouch_for_is_read_from_the_cache():
    found = candles(closes_of_drop(10))
    state = PairSignals(BTC, opens(3))
    state.read(members_of(found[:103]), covered(found[:103]))
    later = event_of(found[106])  # 4, 5 and 6 are missing
    assert state.leaves_gap(later)
    assert state.advance(later, covered(found[:103])) is None
    rest = found[:103] + found[106:]
    steps = state.read(members_of(rest), (*covered(found[:103]), *covered(found[106:])))
    assert steps[0].now.time_ms == opens(7)
    assert state.missing_bars == 3 and not state.window.complete


def test_fewer_candles_than_an_indicator_takes_ring_nothing_and_are_over():
    found = candles([100.0] * 59)
    state = PairSignals(BTC, BEGIN_MS - 1)
    assert state.read(members_of(found), covered(found)) == []
    assert state.evaluated_ms == found[-1].timestamp
    assert state.advance(event_of(candles([1.0], BEGIN_MS + 59 * MINUTE_MS)[0]), None) is None


def test_what_was_told_is_kept_as_long_as_it_may_be_revised():
    state = PairSignals(BTC, BEGIN_MS)
    state.note([Told(BEGIN_MS, 7, "level", "-150", False)])
    state.revise(BEGIN_MS - 3 * MINUTE_MS)
    again = PairSignals.of_kept(BTC, state.kept())
    assert again == state and again.revise_ms == BEGIN_MS - 3 * MINUTE_MS
    again.evaluated_ms += 101 * MINUTE_MS
    again.note([])
    assert again.told == []
