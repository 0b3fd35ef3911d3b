"""What counts as known of a pair."""

from livermore.market.timeframe import Timeframe
from serving.candles.windows import told_empty
from warmup.cache.unconfirmed import EMPTY, TRADED, Unconfirmed

M1 = Timeframe.M1
BEGIN = 1_795_046_400_000
LAG_MS = 5 * M1.ms


def stretch(first, last, seen, reason=EMPTY):
    """Return bars `[first, last)`, told so `seen` bars after the beginning."""
    return Unconfirmed(*(BEGIN + at * M1.ms for at in (first, last)), reason, BEGIN + seen * M1.ms)


def test_an_exchange_that_may_be_late_has_not_told_that_a_bar_is_empty():
    assert told_empty((stretch(0, 1, 2),), M1, LAG_MS) == ()
    assert told_empty((stretch(0, 10, 10),), M1, LAG_MS) == ((BEGIN, BEGIN + 5 * M1.ms),)


def test_what_was_told_empty_late_enough_is_as_known_as_it_can_be():
    assert told_empty((stretch(0, 1, 6),), M1, LAG_MS) == ((BEGIN, BEGIN + M1.ms),)
    assert told_empty((stretch(0, 1, 6, TRADED),), M1, LAG_MS) == ()
