"""Prices as people read them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livermore.market.candle import Candle, Ticker
from livermore.market.decimal_text import plain
from livermore.market.timeframe import Timeframe

TIME = 1_795_046_400_000
EXPONENT = r"\de-"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (4.1e-07, "0.00000041"),
        (4.1e-05, "0.000041"),
        (1e-12, "0.000000000001"),
        (1.2345678e-07, "0.00000012345678"),
        (-4.1e-07, "-0.00000041"),
        (0.0001, "0.0001"),
        (67012.37, "67012.37"),
        (5.0, "5.0"),
        (0.0, "0.0"),
        (1e16, "10000000000000000"),
        (1.5e22, "15000000000000000000000"),
        (TIME, str(TIME)),
    ],
)
def test_a_price_is_written_without_an_exponent(number, text):
    assert plain(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_all_digits_are_there_and_no_others(number):
    text = plain(number)
    assert "e" not in text
    assert float(text) == number


def test_what_is_said_of_a_candle_or_a_ticker_has_no_exponent():
    with pytest.raises(ValueError, match=r"0\.00000041, 0\.0000005, 0\.0000006") as refusal:
        Candle(TIME, 4.1e-07, 5e-07, 6e-07, 4.2e-07, 1e-05, Timeframe.H1)
    assert not re.search(EXPONENT, str(refusal.value))
    candle = Candle(TIME, 4.1e-07, 4.3e-07, 4e-07, 4.2e-07, 1e-05, Timeframe.H1)
    prices = "0.00000041, 0.00000043, 0.0000004, 0.00000042, 0.00001"
    assert str(candle) == f"[{TIME}, {prices}]"
    with pytest.raises(ValueError, match=r"0\.00000041") as refusal:
        Ticker("Pepe-USD", 4.1e-07, 1e-08, 2.5, 5e-07, 4e-07, -1.0, TIME)
    assert not re.search(EXPONENT, str(refusal.value))
