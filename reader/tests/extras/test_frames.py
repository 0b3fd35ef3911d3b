"""Frames, where their library was asked for: pip install './reader[pandas,mcp]'."""

import pandas
from stored import HOUR_MS, OPEN_MS

from livermore_reader import Reader


def test_a_frame_has_its_times_as_index_and_says_what_it_stands_on(lm: Reader) -> None:
    frame = lm.candles("sandbox", "BTC-USD", "1h", 3, strict=True)
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert frame.index[-1] == pandas.Timestamp(OPEN_MS - HOUR_MS, unit="ms", tz="UTC")
    assert {str(each) for each in frame.dtypes} == {"float64"}
    assert frame.attrs["livermore"]["complete"] is True
