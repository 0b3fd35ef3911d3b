"""What is read, as pandas, polars and Arrow have it."""

import json

import pandas
import polars
import pyarrow
import pytest
from livermore_reader import BadRequest, Incomplete, Stale

from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.serving.conftest import ROW, Filled, say_streamed
from warmup.cache.candles import CandleCache

HOUR = 3_600_000


@pytest.fixture
def past(redis):
    say_streamed(redis)
    return Filled(redis)


def test_a_frame_has_an_index_in_utc_and_numbers(lm, past):
    frame = lm.candles("sandbox", "BTC-USD", "1h", 5, strict=True)
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert set(map(str, frame.dtypes)) == {"float64"}
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.index.name == "timestamp"
    assert frame.index[-1] == pandas.Timestamp(past.open_ms - HOUR, unit="ms", tz="UTC")
    assert frame["close"].tolist() == [each.close for each in past.candles[-5:]]
    told = frame.attrs["livermore"]
    assert told["complete"] is True
    assert told["newest_close"] == past.open_ms
    assert 0 <= told["age_ms"] < HOUR
    assert told["missing"] == []
    assert "open" not in told


def test_the_open_candle_is_the_last_row_where_it_is_asked_for(lm, past):
    frame = lm.candles("sandbox", "BTC-USD", "1h", 5, live=True)
    assert len(frame) == 6
    assert frame["close"].iloc[-1] == past.open_candle.close
    assert frame.attrs["livermore"]["open"] is True


def test_an_open_candle_that_nobody_streams_is_not_told(redis, lm):
    Filled(redis)
    frame = lm.candles("sandbox", "BTC-USD", "1h", 5, live=True)
    assert len(frame) == 5
    assert "open" not in frame.attrs["livermore"]


def test_ten_columns_have_nan_where_they_are_not_known(lm, past):
    frame = lm.candles("sandbox", "BTC-USD", "1h", 5, columns="all")
    assert list(frame.columns)[5:] == ["quote_volume", "trades", "taker_base", "taker_quote"]
    assert frame["trades"].isna().all()
    assert set(map(str, frame.dtypes)) == {"float64"}


def test_nothing_is_a_frame_without_rows(redis, lm):
    frame = lm.candles("sandbox", "BTC-USD", "1h")
    assert frame.empty
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.attrs["livermore"]["complete"] is False
    with pytest.raises(Stale):
        lm.candles("sandbox", "BTC-USD", "1h", strict=True)


def test_polars_has_the_same(lm, past):
    frame = lm.polars("sandbox", "BTC-USD", "1h", 5)
    assert frame.schema["timestamp"] == polars.Datetime("ms", "UTC")
    assert frame["close"].to_list() == [each.close for each in past.candles[-5:]]
    ten = lm.polars("sandbox", "BTC-USD", "1h", 5, columns="all")
    assert ten["trades"].to_list() == [None] * 5
    assert len(lm.polars("sandbox", "ETH-USD", "1h")) == 0


def test_arrow_has_the_same_and_what_it_stands_on(lm, past):
    table = lm.arrow("sandbox", "BTC-USD", "1h", 5, columns="all")
    assert table.schema.field("timestamp").type == pyarrow.timestamp("ms", tz="UTC")
    assert table.schema.field("trades").type == pyarrow.int64()
    assert table["close"].to_pylist() == [each.close for each in past.candles[-5:]]
    told = json.loads(table.schema.metadata[b"livermore"])
    assert told["complete"] is True
    assert lm.arrow("sandbox", "ETH-USD", "1h").num_rows == 0


def test_a_panel_has_a_column_a_symbol(redis, lm, past):
    Filled(redis, "ETH-USD", count=3)
    panel = lm.panel("sandbox", ["BTC-USD", "ETHUSD"], "1h", 5)
    assert list(panel.columns) == ["BTC-USD", "ETH-USD"]
    assert panel["BTC-USD"].tolist() == [each.close for each in past.candles[-5:]]
    assert panel["ETH-USD"].isna().tolist() == [True, True, False, False, False]
    told = panel.attrs["livermore"]
    assert told["complete"] is False
    assert told["missing"] == {"ETH-USD": [[past.open_ms - 5 * HOUR, past.open_ms - 3 * HOUR]]}
    with pytest.raises(Incomplete, match="ETH-USD"):
        lm.panel("sandbox", ["BTC-USD", "ETH-USD"], "1h", 5, strict=True)
    volumes = lm.panel("sandbox", None, "1h", 3, column="volume", strict=True)
    assert volumes.to_numpy().tolist() == [[0.125, 0.125]] * 3


def test_a_panel_ends_with_the_newest_bar_that_all_have(redis, lm):
    past = Filled(redis)
    Filled(redis, "ETH-USD")
    closed = Candle(past.open_ms, 101.7, 103, 101, 102.5, 0.25, Timeframe.H1)
    CandleCache(redis, ROW.exchange_id).write(
        "BTC-USD", Timeframe.H1, [closed], ((past.open_ms, past.open_ms + HOUR),)
    )
    say_streamed(redis, exchangeTime=past.open_ms + HOUR + 1000)
    assert lm.rows("sandbox", "BTC-USD", "1h", 1)[0][0] == past.open_ms
    panel = lm.panel("sandbox", None, "1h", 5)
    assert panel.index[-1] == pandas.Timestamp(past.open_ms - HOUR, unit="ms", tz="UTC")
    assert not panel.isna().to_numpy().any()
    say_streamed(redis, exchangeTime=past.open_ms + HOUR + 5000)
    with pytest.raises(Stale, match="ETH-USD"):
        lm.panel("sandbox", None, "1h", 5, strict=True)


def test_macd_v_is_a_row_for_each_pair(redis, lm):
    frame = lm.macd_v("sandbox", timeframes=["1h", "1d"])
    assert len(frame) == 4
    assert not frame["current"].any()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"columns": "ten"}, 'ten with columns="all"'),
        ({"count": 0}, "1 or more"),
        ({"count": True}, "1 or more"),
        ({"start": "2026-11-02", "end": "2026-11-01"}, "start has to be before end"),
        ({"start": "yesterday"}, "is no time"),
        ({"timeframe": "7m"}, "there are 1m 5m"),
        ({"symbol": ""}, "is no symbol"),
    ],
)
def test_what_is_wrong_is_one_line(lm, what, words):
    asked = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"} | what
    with pytest.raises(BadRequest, match=words) as caught:
        lm.candles(**asked)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadRequest, match="quote_volume trades"):
        lm.panel("sandbox", None, "1h", column="price")
