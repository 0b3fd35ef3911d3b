"""Minutes that are counted from ten hours ago, as the shared sandbox's clock stands."""

from livermore.market.timeframe import MINUTE_MS, Timeframe
from tests.exchanges.venues.conftest import NOW_MS

NOW_MINUTE_MS = Timeframe.M1.floor(NOW_MS)
AGO_MS = NOW_MINUTE_MS - 600 * MINUTE_MS


def span(first, end):
    """Return when the minutes from one to before another open and end."""
    return AGO_MS + first * MINUTE_MS, AGO_MS + end * MINUTE_MS


def minutes(candles):
    """Return which minutes these are."""
    return [(candle.timestamp - AGO_MS) // MINUTE_MS for candle in candles]


def told_newest_first(numbers, *behind):
    """Return rows of these minutes as texts: time, prices, volume, and what stands behind them."""
    return [
        [str(AGO_MS + n * MINUTE_MS), "2", "3", "1", "2", "5", "10", *behind]
        for n in sorted(numbers, reverse=True)
    ]
