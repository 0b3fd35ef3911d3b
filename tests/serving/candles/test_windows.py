"""What counts as known of a pair."""

from dataclasses import replace

import pytest

from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.windows import Windows, told_empty
from tests.serving.conftest import ROW
from warmup.cache.candles import CandleCache
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


@pytest.mark.parametrize(
    ("omits", "connected", "known"),
    [(True, True, 7), (True, False, 5), (False, True, 5)],
)
def test_a_quiet_bar_is_known_where_the_stream_showed_no_trade_either(
    redis, omits, connected, known
):
    bars = [Candle(BEGIN + at * M1.ms, 100.5, 102.0, 99.0, 101.0, 0.5, M1) for at in range(5)]
    cache = CandleCache(redis, ROW.exchange_id)
    until_ms = BEGIN + 5 * M1.ms
    cache.write("BTC-USD", M1, bars, ((BEGIN, until_ms),), (stretch(5, 7, 7),))
    exchange = replace(ROW, omits=omits, lag_ms=LAG_MS)
    window = Windows(redis, lambda number: connected).read(exchange, Pair("BTC-USD", M1))
    assert window.coverage == ((BEGIN, BEGIN + known * M1.ms),)
