from dataclasses import FrozenInstanceError
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.candle import Candle, Ticker, check_time
from livermore.market.columns import read_columns
from livermore.market.timeframe import Timeframe

TIME = 1_790_000_100_000  # 2026-09-21 14:15:00 UTC, a boundary of 15m and shorter
GOOD = {"open": 2.0, "high": 4.0, "low": 1.0, "close": 3.0, "volume": 5.0}
TICKER = {
    "symbol": "BTC-USD",
    "price": 100.0,
    "change_24h": -5.0,
    "change_percent_24h": -4.76,
    "high_24h": 106.0,
    "low_24h": 99.0,
    "volume_24h": 12.5,
    "timestamp": TIME,
}

prices = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


def candle(timestamp=TIME, timeframe=Timeframe.M1, **changes):
    return Candle(timestamp, **GOOD | changes, timeframe=timeframe)


def test_a_candle_gives_the_values_that_are_stored():
    assert candle().values() == [TIME, 2.0, 4.0, 1.0, 3.0, 5.0]
    assert candle().close_time_ms == TIME + 60_000


def test_a_candle_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        candle().close = 9.0


def test_a_bar_without_any_trade_is_a_candle():
    flat = candle(open=7.0, high=7.0, low=7.0, close=7.0, volume=0.0)
    assert flat.volume == 0


@given(st.lists(prices, min_size=4, max_size=4), prices)
def test_any_prices_in_order_make_a_candle(four, volume):
    low, one, other, high = sorted(four)
    for first, last in ((one, other), (other, one)):
        made = Candle(TIME, first, high, low, last, volume, Timeframe.M1)
        assert made.values() == [TIME, first, high, low, last, volume]


@given(st.lists(prices, min_size=4, max_size=4, unique=True))
def test_no_prices_out_of_order_make_a_candle(four):
    lowest, second, third, highest = sorted(four)
    for o, high, low, close in (
        (second, lowest, highest, third),  # low above high
        (lowest, highest, second, third),  # open below low
        (highest, third, lowest, second),  # open above high
        (third, highest, second, lowest),  # close below low
        (second, third, lowest, highest),  # close above high
    ):
        with pytest.raises(ValueError, match="between low and high"):
            candle(open=o, high=high, low=low, close=close)


@pytest.mark.parametrize("field", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [nan, inf, -inf, 0.0, -0.0, -1.0])
def test_a_price_that_is_none_is_refused(field, value):
    with pytest.raises(ValueError, match="between low and high"):
        candle(**{field: value})


def test_four_prices_of_zero_are_refused():
    with pytest.raises(ValueError, match="between low and high"):
        candle(open=0.0, high=0.0, low=0.0, close=0.0)


@pytest.mark.parametrize("volume", [nan, inf, -inf, -1e-9])
def test_a_volume_that_is_none_is_refused(volume):
    with pytest.raises(ValueError, match="volume is negative or not a number"):
        candle(volume=volume)


@pytest.mark.parametrize(
    ("timeframe", "off"),
    [("1m", 1), ("1m", -1), ("5m", 60_000), ("1h", 900_000), ("4h", 3_600_000), ("1d", 14_400_000)],
)
def test_a_time_off_the_boundary_is_refused(timeframe, off):
    timeframe = Timeframe(timeframe)
    on = Timeframe.D1.floor(TIME)
    assert candle(on, timeframe).timestamp == on
    with pytest.raises(ValueError, match=f"off the {timeframe} boundary"):
        candle(on + off, timeframe)


@pytest.mark.parametrize(
    "time",
    [
        pytest.param(TIME // 1000, id="seconds"),
        pytest.param(TIME * 1000, id="microseconds"),
        pytest.param(TIME * 1_000_000, id="nanoseconds"),
        pytest.param(float(TIME), id="float"),
        pytest.param(str(TIME), id="text"),
        pytest.param(True, id="bool"),
        pytest.param(None, id="nothing"),
        pytest.param(0, id="epoch"),
        pytest.param(-TIME, id="negative"),
        pytest.param(nan, id="nan"),
    ],
)
def test_a_time_in_another_unit_or_form_is_refused(time):
    with pytest.raises(ValueError, match="not in epoch milliseconds"):
        check_time(time)
    with pytest.raises(ValueError, match="not in epoch milliseconds"):
        candle(time)
    with pytest.raises(ValueError, match="not in epoch milliseconds"):
        Ticker(**TICKER | {"timestamp": time})


def test_a_ticker_gives_the_object_that_is_published():
    assert Ticker(**TICKER).as_json() == {
        "symbol": "BTC-USD",
        "price": 100.0,
        "change24h": -5.0,
        "changePercent24h": -4.76,
        "high24h": 106.0,
        "low24h": 99.0,
        "volume24h": 12.5,
        "timestamp": TIME,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("price", value) for value in (nan, inf, 0.0, -1.0)),
        *(("volume_24h", value) for value in (nan, inf, -1.0)),
        *((name, nan) for name in ("change_24h", "change_percent_24h", "high_24h", "low_24h")),
        *((name, inf) for name in ("change_24h", "change_percent_24h", "high_24h", "low_24h")),
    ],
)
def test_a_ticker_with_a_number_that_is_none_is_refused(field, value):
    with pytest.raises(ValueError, match="not a usable ticker"):
        Ticker(**TICKER | {field: value})


# What is told beside the six numbers

KNOWN = [2434.19055334, 308, 1756.87402397, 28.46694368]
COLUMNS_KNOWN = read_columns(KNOWN)


def test_a_candle_is_stored_with_its_columns_behind_its_values():
    known = candle(columns=COLUMNS_KNOWN)
    assert known.row() == [*known.values(), *KNOWN]
    assert known.values() == candle().values() == candle().row()
    assert (known.columns, candle().columns) == (tuple(KNOWN), None)


def test_a_candle_with_a_column_that_cannot_be_read_is_stored_without_any():
    assert candle(columns=read_columns(("n/a", *KNOWN[1:]))).row() == candle().row()
    row = [*candle().row(), *KNOWN[:3], None]
    assert Candle.of_values(row, Timeframe.M1).row() == candle().row()


@pytest.mark.parametrize("row", [candle().row(), candle(columns=COLUMNS_KNOWN).row()])
def test_a_stored_candle_is_read_in_either_form(row):
    assert Candle.of_values(row, Timeframe.M1).row() == row


@pytest.mark.parametrize("count", [0, 5, 7, 8, 9, 11])
def test_other_numbers_of_values_make_no_candle(count):
    row = [*candle(columns=COLUMNS_KNOWN).row(), 0][:count]
    with pytest.raises(TypeError, match="six values, or ten"):
        Candle.of_values(row, Timeframe.M1)


def test_a_candle_that_gains_columns_is_the_same_candle():
    assert candle(columns=COLUMNS_KNOWN) == candle()
    assert hash(candle(columns=COLUMNS_KNOWN)) == hash(candle())
