"""Keys as every reader relies on them, and what is found where they are otherwise."""

import orjson
import pytest

from livermore.market import keys
from livermore.market.candle import Ticker
from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import failures, step_of
from warmup.harness.steps.contract import candle_faults, coverage_faults, name_faults, ticker_faults
from warmup.harness.steps.stored import StringKey, names_like

D1 = Timeframe.D1
OPENED = 1_795_046_400_000
ROW = [OPENED, 1.0, 3.0, 0.5, 2.0, 7]
TICKER = Ticker("BTC-USD", 2.0, -1.0, -33.3, 3.0, 0.5, 812.5, OPENED).as_json()


def members(*rows):
    return [(orjson.dumps(row), float(row[0])) for row in rows]


def test_what_the_cache_writes_is_as_it_should_be():
    assert candle_faults(members(ROW, [OPENED + D1.ms, *ROW[1:]]), D1) == []
    assert candle_faults(members([*ROW, 20.5, 3, 4, 8.25]), D1) == []
    assert coverage_faults(StringKey(b"[[0,60],[90,120]]", -1)) == []
    assert ticker_faults(StringKey(orjson.dumps(TICKER), 60_000), "BTC-USD") == []
    assert ticker_faults(StringKey(orjson.dumps(TICKER | {"more": []}), 1), "BTC-USD") == []


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([(orjson.dumps(ROW[:5]), OPENED)], "no array of six numbers"),
        ([(orjson.dumps([*ROW, 0]), OPENED)], "no array of six numbers"),
        ([(orjson.dumps([*ROW[:5], "7"]), OPENED)], "no array of six numbers"),
        ([(orjson.dumps([*ROW[:5], True]), OPENED)], "no array of six numbers"),
        ([(orjson.dumps([*ROW, 20.5, 3, 4]), OPENED)], "no array of six numbers, or of ten"),
        ([(orjson.dumps([*ROW, None, None, None, None]), OPENED)], "no array of six numbers"),
        ([(orjson.dumps([*ROW, 20.5, 3, -4, 8]), OPENED)], "has columns that can't be"),
        ([(orjson.dumps({"open": 1}), OPENED)], "no array of six numbers"),
        ([(b"not JSON", OPENED)], "is no candle"),
        ([(orjson.dumps(ROW), OPENED + 1)], "has the score 1795046400001"),
        ([(orjson.dumps([OPENED, 1, 0.1, 0.5, 2, 7]), OPENED)], "is no candle: open"),
        ([(orjson.dumps([OPENED + 7, *ROW[1:]]), OPENED + 7)], "off the 1d boundary"),
        (members(ROW, [*ROW[:5], 8]), "open at the same time"),
        (members(*([OPENED - at * D1.ms, *ROW[1:]] for at in range(1001))), "more than 1000"),
    ],
)
def test_candles_of_another_form_are_found(found, says):
    [fault] = candle_faults(found, D1)
    assert says in fault


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b"[[5,5]]", b"[[9,12],[0,3]]", b"[[0,3],[3,5]]", b"[7]"]
)
def test_coverage_of_another_form_is_found(content):
    assert coverage_faults(StringKey(content, -1)) != []


def test_candles_without_coverage_are_found():
    assert coverage_faults(None) == ["there is no coverage beside the candles"]


@pytest.mark.parametrize(
    ("content", "lasts_ms", "says"),
    [
        (TICKER, -1, "lasts -1 ms"),
        (TICKER, 60_001, "not up to 60 s"),
        (TICKER | {"price": "2.0"}, 1, "lacks price"),
        (TICKER | {"symbol": "ETH-USD"}, 1, "is not BTC-USD's"),
        (TICKER | {"price": -2.0}, 1, "can't be read: not a usable ticker"),
        (TICKER | {"timestamp": 1.5}, 1, "can't be read: time 1.5"),
        ({"symbol": "BTC-USD"}, 1, "lacks price, change24h, changePercent24h, high24h, low24h"),
        ([1], 1, "can't be read"),
    ],
)
def test_a_ticker_of_another_form_is_found(content, lasts_ms, says):
    [fault] = ticker_faults(StringKey(orjson.dumps(content), lasts_ms), "BTC-USD")
    assert says in fault


@pytest.mark.parametrize(
    "name", ["candles:7:4:BTC-USD:1d", "candles:user7:BTC-USD:1d", "candles::BTC-USD:1d"]
)
def test_a_user_in_a_name_is_found(redis, name):
    redis.set(keys.candles(4, "BTC-USD", D1), b"")
    pattern = keys.candles("*", "BTC-USD", D1)
    assert name_faults(redis, pattern) == []
    redis.set(name, b"")
    assert name_faults(redis, pattern) == [f"{name} holds more than the id of an exchange"]


def test_a_name_with_signs_of_a_pattern_means_itself(redis):
    for symbol in ("[A]?-USD", "A-USD", "AB-USD"):
        redis.set(keys.ticker(4, symbol), b"")
    assert names_like(redis, keys.ticker("*", "[A]?-USD")) == [keys.ticker(4, "[A]?-USD")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda redis, name: redis.zadd(name, {b"[1,2]": 1}), "no array of six numbers"),
        (lambda redis, name: redis.set(f"{name}".replace(":", ":7:", 1), b""), "holds more than"),
    ],
    ids=["member", "user"],
)
def test_what_others_wrote_beside_fails_with_what_to_do(redis, row, checked, spoil, says):
    def interfere(step):
        if step.name == "warmup":
            spoil(redis, keys.candles(row.pk, "BTC-USD", D1))

    report = checked(row, on_step=interfere)
    assert failures(report) == ["keys"]
    step = step_of(report, "keys")
    assert says in step.detail
    assert "./run warmup sandbox" in step.remedy


@pytest.mark.django_db
def test_the_ticker_that_is_there_is_looked_at(redis, row, checked):
    redis.set(keys.ticker(row.pk, "BTC-USD"), orjson.dumps(TICKER))  # and it never expires
    report = checked(row)
    assert failures(report) == ["keys"]
    assert "lasts -1 ms" in step_of(report, "keys").detail
