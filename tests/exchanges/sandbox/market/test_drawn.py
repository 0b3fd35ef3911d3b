"""Prices drawn over a walk: bars of all timeframes and trades agree with what was drawn."""

import pytest

from exchanges.sandbox.market.market import Market
from exchanges.sandbox.symbols import DEFAULT
from livermore.market.timeframe import MINUTE_MS, Timeframe

NOON_MS = 1_795_003_200_000  # 2026-11-18 12:00 UTC
CLOSES = [100.0, 101.0, 99.0, 99.0, 98.5, 97.0, 97.0, 97.5, 96.0, 95.0]
UNTIL_MS = NOON_MS + len(CLOSES) * MINUTE_MS


@pytest.fixture
def market():
    found = Market(1, DEFAULT)
    found.draw("BTC-USD", NOON_MS, CLOSES)
    return found


def closes(market, timeframe, start_ms, end_ms):
    return [each[4] for each in market.closed_candles("BTC-USD", timeframe, start_ms, end_ms)]


def test_minutes_close_where_they_are_drawn_and_range_from_the_close_before(market):
    found = market.closed_candles("BTC-USD", Timeframe.M1, NOON_MS, UNTIL_MS)
    assert [each[4] for each in found] == CLOSES
    for (_, opened, high, low, close, volume), before in zip(found[1:], CLOSES, strict=False):
        assert opened in (before, close)  # the close, where there was one trade
        assert (high, low) == (max(opened, close), min(opened, close)) and volume > 0


def test_what_is_around_is_as_it_was(market):
    untouched = Market(1, DEFAULT)
    for start_ms, end_ms in ((NOON_MS - 9 * MINUTE_MS, NOON_MS), (UNTIL_MS, UNTIL_MS + 10**6)):
        stretch = ("BTC-USD", Timeframe.M1, start_ms, end_ms)
        assert market.closed_rows(*stretch) == untouched.closed_rows(*stretch)


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_longer_bars_are_made_of_the_minutes(market, timeframe):
    open_ms = timeframe.floor(UNTIL_MS - 1)
    (bar,) = market.of("BTC-USD").bars(timeframe, open_ms, open_ms + 1)
    parts = market.of("BTC-USD").bars(Timeframe.M1, open_ms, open_ms + timeframe.ms)
    assert bar.high == max(each.high for each in parts)
    assert bar.low == min(each.low for each in parts)
    assert (bar.open, bar.close) == (parts[0].open, parts[-1].close)
    assert (bar.volume, bar.quote) == (
        sum(each.volume for each in parts),
        sum(each.quote for each in parts),
    )


def test_trades_make_up_their_minute_and_its_open_bar(market):
    at = market.of("BTC-USD")
    for minute_ms in range(NOON_MS, UNTIL_MS, MINUTE_MS):
        trades = at.trades(minute_ms)
        (bar,) = at.bars(Timeframe.M1, minute_ms, minute_ms + 1)
        assert (bar.open, bar.close) == (trades[0].price, trades[-1].price)
        assert bar.quote == sum(each.price * each.size for each in trades)
        half = at.open_bar(Timeframe.M1, trades[0].time_ms)
        assert (half.close, half.trades) == (trades[0].price, 1)


def test_a_second_drawing_leaves_the_first(market):
    market.draw("BTC-USD", UNTIL_MS, [90.0])
    assert closes(market, Timeframe.M1, NOON_MS, UNTIL_MS + MINUTE_MS) == [*CLOSES, 90.0]


@pytest.mark.parametrize(("from_ms", "drawn"), [(NOON_MS + 1, [1.0]), (NOON_MS, []), (0, [-1.0])])
def test_what_can_not_be_drawn_is_refused(market, from_ms, drawn):
    with pytest.raises(ValueError, match="begins with a whole minute"):
        market.draw("BTC-USD", from_ms, drawn)
