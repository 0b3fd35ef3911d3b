"""The sandbox tells the prices that were calculated by hand."""

from livermore.market.timeframe import Timeframe
from tests.alerts.signals.market import BEGIN_MS, FLAT, MINUTE_MS, candles, closes_of_drop
from tests.experiments.interference.drawn import DRAWN, Drop

BARS_AFTER = 20
TICKS = 1000  # of a price of 1


def test_the_drawn_prices_are_those_of_the_hand_calculation():
    walk = Drop(1, DRAWN)
    walk.drop(BEGIN_MS + FLAT * MINUTE_MS)
    end_ms = BEGIN_MS + (FLAT + BARS_AFTER) * MINUTE_MS
    bars = walk.bars(Timeframe.M1, BEGIN_MS, end_ms)
    drawn = [(bar.open_ms, *(price / TICKS for price in bar[1:5])) for bar in bars]
    expected = candles(closes_of_drop(BARS_AFTER))
    assert drawn == [(each.timestamp, *each.values()[1:5]) for each in expected]
    (hours,) = walk.bars(Timeframe.H4, BEGIN_MS, BEGIN_MS + Timeframe.H4.ms)
    assert (hours.high / TICKS, hours.low / TICKS, hours.close / TICKS) == (100.5, 89.5, 90.0)
