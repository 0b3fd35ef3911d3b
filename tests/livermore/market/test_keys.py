"""The names that readers outside of this project know by heart."""

import pytest

from livermore.market import keys
from livermore.market.timeframe import Timeframe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (keys.candles(7, "BTC-USD", "1h"), "candles:7:BTC-USD:1h"),
        (keys.live_candle(7, "BTC-USD", "1h"), "candle:live:7:BTC-USD:1h"),
        (keys.coverage(7, "BTC-USD", "1h"), "coverage:7:BTC-USD:1h"),
        (keys.ticker(7, "BTC-USD"), "ticker:7:BTC-USD"),
        (keys.ticker_channel(7, "BTC-USD"), "channel:ticker:7:BTC-USD"),
        (keys.warmup_schedule(7), "exchange:7:warm-up-schedule:symbols"),
        (keys.warmup_stats(7), "exchange:7:warm-up-schedule:stats"),
        (keys.lock(7), "exchange:7:lock"),
        (keys.epoch(7), "exchange:7:epoch"),
        (keys.status(7), "exchange:7:status"),
        (keys.events(7), "exchange:7:events"),
        (keys.control(7), "exchange:7:control"),
        (keys.exchange_changed(7), "channel:exchange:7:changed"),
        (keys.lock_channel(7), "channel:exchange:7:lock"),
        (keys.holder_channel("a-b"), "channel:holder:a-b"),
        (keys.EXCHANGES_CHANGED, "channel:exchange:*:changed"),
        (keys.old_rows_cleared(), "old-rows:cleared"),
        (keys.pacing("api.binance.com"), "pacing:api.binance.com"),
        (keys.pacing("127.0.0.1:8899"), "pacing:127.0.0.1:8899"),
    ],
)
def test_a_name_is_spelled_as_the_contract_says(name, expected):
    assert name == expected


def test_a_timeframe_is_named_by_its_text():
    assert keys.candles(1, "A-B", Timeframe.H4) == keys.candles(1, "A-B", "4h")


def test_a_symbol_may_be_of_any_script():
    assert keys.coverage(1, "币安人生-USDT", "1d") == "coverage:1:币安人生-USDT:1d"


def test_no_two_things_share_a_name():
    of_a_pair = (keys.candles, keys.live_candle, keys.coverage)
    of_an_exchange = (
        keys.warmup_schedule, keys.warmup_stats,
        keys.lock, keys.epoch, keys.status, keys.events, keys.control,
    )  # fmt: skip
    names = [
        *(name(pk, symbol, t) for name in of_a_pair for pk in (1, 11) for symbol in ("A-B", "1A-B")
          for t in Timeframe),
        *(name(pk, "A-B") for name in (keys.ticker, keys.ticker_channel) for pk in (1, 11)),
        *(name(pk) for name in of_an_exchange for pk in (1, 11)),
    ]  # fmt: skip
    assert len(names) == len(set(names))
