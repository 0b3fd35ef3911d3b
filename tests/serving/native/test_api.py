"""Our own interface, right and wrong requests."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.indicators import IndicatorCache

HOUR = 3_600_000
WHOLE = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"}


def get(ask, path, **params):
    """Return status, content and headers of one GET."""

    async def fetch():
        async with ask() as client:
            answer = await client.get(f"/v1/{path}?{urlencode(params)}")
            return answer.status, await answer.json(), answer.headers

    return asyncio.run(fetch())


def test_exchanges_say_what_there_is(ask):
    status, content, _ = get(ask, "exchanges")
    assert status == 200
    assert content == {
        "exchanges": [
            {
                "name": "sandbox", "id": 4, "venue": "binance", "active": True,
                "monitored": ["BTC-USD"],
            }
        ]
    }  # fmt: skip


def test_candles_are_closed_ones_oldest_first(ask, filled):
    status, content, headers = get(ask, "candles", **WHOLE, limit=3)
    assert status == 200, content
    assert content["columns"] == ["timestamp", "open", "high", "low", "close", "volume"]
    assert content["candles"] == [candle.values() for candle in filled.candles[-3:]]
    assert content["newestClose"] == filled.open_ms
    assert content["complete"] is True
    assert "open" not in content
    assert headers["X-Livermore-Complete"] == "1"


def test_the_open_candle_comes_apart_for_who_asks_for_it(ask, filled):
    _, content, _ = get(ask, "candles", **WHOLE, limit=3, open=1)
    assert len(content["candles"]) == 3
    assert content["open"] == filled.open_candle.values()


def as_text(time_ms):
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


@pytest.mark.parametrize("form", [str, as_text])
def test_start_is_included_and_end_is_not(ask, filled, form):
    start_ms = filled.first_ms + 100 * HOUR
    times = {"start": form(start_ms), "end": form(start_ms + 3 * HOUR)}
    _, content, _ = get(ask, "candles", **WHOLE, **times)
    assert [row[0] for row in content["candles"]] == [start_ms + n * HOUR for n in range(3)]


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        ("candles", {}, 400, "exchange is missing"),
        (
            "candles",
            WHOLE | {"exchange": "no"},
            404,
            "There is no exchange 'no'; known: sandbox",
        ),
        ("candles", WHOLE | {"symbol": "NO-PE"}, 404, "sandbox has no symbol 'NO-PE'"),
        ("candles", WHOLE | {"timeframe": "7m"}, 400, "timeframe: unknown timeframe '7m'"),
        ("candles", WHOLE | {"limit": "0"}, 400, "limit is a number from 1 to 1000"),
        ("candles", WHOLE | {"limit": "9" * 5000}, 400, "limit is a number from 1 to 1000"),
        ("candles", WHOLE | {"start": "yesterday"}, 400, "start: 'yesterday' is no time"),
        ("candles", WHOLE | {"start": "7"}, 400, "start: 7 is no time in epoch milliseconds"),
        ("candles", WHOLE | {"start": "2026-11-28", "end": "2026-11-27"}, 400, "start has to be"),
        ("candles", WHOLE | {"limits": "7"}, 400, "limits is not known here; known: end, exchange"),
        ("macd-v", {"exchange": "sandbox", "symbols": "NO-PE"}, 404, "sandbox has no symbol"),
        ("status", {"exchange": ""}, 400, "exchange is missing"),
        ("events", {"exchange": "nope"}, 404, "There is no exchange 'nope'"),
        ("events", {"exchange": "sandbox", "after": "x"}, 400, "'x' is no id of an event"),
    ],
)
def test_a_wrong_request_gets_one_line(ask, filled, path, params, status, words):
    found, content, _ = get(ask, path, **params)
    assert found == status, content
    assert content["error"].startswith(words)


def test_what_is_missing_is_a_503(ask, redis):
    status, content, headers = get(ask, "candles", **WHOLE)
    assert status == 503
    assert "sandbox BTC-USD 1h: candles from " in content["error"]
    assert int(headers["Retry-After"]) > 0


def test_macd_v_of_all_pairs_or_of_some(ask, redis):
    value = {"timestamp": 1_795_046_400_000, "value": 12.5, "symbol": "BTC-USD"}
    IndicatorCache(redis, 4).write_many({Pair("BTC-USD", Timeframe.H1): value})
    _, content, _ = get(ask, "macd-v", exchange="sandbox", timeframes="1h,1d")
    assert content["values"] == [
        {"symbol": "BTC-USD", "timeframe": "1h", "macdV": value},
        {"symbol": "BTC-USD", "timeframe": "1d", "macdV": None},
    ]


def test_status_of_an_exchange_that_does_not_run(ask, redis):
    redis.delete(keys.status(4))
    status, content, _ = get(ask, "status", exchange="sandbox")
    assert status == 200
    assert content["state"] == "offline"
