"""Requests for klines, right and wrong, and what Binance's documentation says of each."""

import asyncio
from dataclasses import replace
from urllib.parse import urlencode

import orjson
import pytest

from livermore.market import keys
from livermore.market.columns import read_columns
from tests.serving.conftest import ROW, Filled
from warmup.cache.candles import CandleCache

HOUR = 3_600_000
MANDATORY = "Mandatory parameter '%s' was not sent, was empty/null, or malformed."


def get(ask, path, **params):
    """Return status, content and headers of one GET."""

    async def fetch():
        async with ask() as client:
            query = params if isinstance(params, str) else urlencode(params)
            answer = await client.get(f"/sandbox/api/v3/{path}?{query}")
            return answer.status, await answer.json(content_type=None), answer.headers

    return asyncio.run(fetch())


def klines(ask, **params):
    status, rows, _ = get(ask, "klines", **{"symbol": "BTCUSD", "interval": "1h"} | params)
    assert status == 200, rows
    return rows


def test_a_row_has_twelve_columns_in_their_form(ask, filled):
    rows = klines(ask, limit=2)
    first = filled.candles[-1]
    assert rows[0] == [
        first.timestamp, "100.50000000", "102.25000000", "99.12500000", f"{first.close:.8f}",
        "0.12500000", first.timestamp + HOUR - 1, None, None, None, None, "0",
    ]  # fmt: skip
    prices = ["101.70000000", "103.00000000", "101.00000000", "102.50000000"]
    assert rows[1][:6] == [filled.open_ms, *prices, "0.25000000"]


def test_a_row_has_the_columns_that_are_known(ask, redis, filled):
    cache = CandleCache(redis, ROW.exchange_id)
    columns = read_columns(("20.5", 3, "0.1", "10.25"))
    newest = replace(filled.candles[-1], columns=columns)
    cache.write("BTC-USD", newest.timeframe, [newest])
    cache.set_live("BTC-USD", replace(filled.open_candle, columns=columns))
    rows = klines(ask, limit=3)
    told = ["20.50000000", 3, "0.10000000", "10.25000000"]
    assert [row[7:11] for row in rows] == [[None] * 4, told, told]
    assert [row[7:11] for row in klines(ask, interval="2h", limit=300)[-3:-1]] == [[None] * 4] * 2


def test_a_column_that_somebody_else_wrote_is_not_told(ask, redis, filled):
    name = keys.candles(ROW.exchange_id, "BTC-USD", "1h")
    newest = filled.candles[-1]
    redis.zremrangebyscore(name, newest.timestamp, newest.timestamp)
    redis.zadd(name, {orjson.dumps([*newest.values(), None, "x", 0, -1]): newest.timestamp})
    assert klines(ask, limit=2)[0][7:11] == [None] * 4


def opened(rows):
    return [row[0] for row in rows]


def at(filled, *indices):
    return [filled.first_ms + index * HOUR for index in indices]


def test_without_times_the_newest_500_come_oldest_first_with_the_open_one(ask, filled):
    assert opened(klines(ask)) == at(filled, *range(201, 701))


def test_the_most_is_a_thousand(ask, redis):
    filled = Filled(redis, count=1000)
    assert opened(klines(ask, limit=1001)) == at(filled, *range(1, 1001))


@pytest.mark.parametrize(
    ("start", "end", "limit", "expected"),
    [
        (100, None, 3, (100, 101, 102)),  # the oldest from the start on
        (None, 100, 3, (98, 99, 100)),  # the newest up to the end
        (100, 102, 500, (100, 101, 102)),  # both are included
        (100, 110, 3, (100, 101, 102)),
        (100, 100, 5, (100,)),
        (101, 100, 5, ()),
        (699, None, 5, (699, 700)),  # the open one too
        (700, None, 5, (700,)),
        (701, None, 5, ()),  # the future
    ],
)
def test_bounds(ask, filled, start, end, limit, expected):
    params = {"startTime": start, "endTime": end}
    sent = {
        name: filled.first_ms + hour * HOUR for name, hour in params.items() if hour is not None
    }
    assert opened(klines(ask, limit=limit, **sent)) == at(filled, *expected)


def test_bounds_are_of_the_open_time_to_the_millisecond(ask, filled):
    start_ms = filled.first_ms + 100 * HOUR
    assert opened(klines(ask, startTime=start_ms + 1, limit=1)) == at(filled, 101)
    assert opened(klines(ask, endTime=start_ms - 1, limit=1)) == at(filled, 99)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"interval": "1h"}, -1102, MANDATORY % "symbol"),
        ({"symbol": "BTCUSD"}, -1102, MANDATORY % "interval"),
        ({"symbol": "NOPE", "interval": "1h"}, -1121, "Invalid symbol."),
        ({"symbol": "BTCUSD", "interval": "1H"}, -1120, "Invalid interval."),
        ({"symbol": "BTCUSD", "interval": "7m"}, -1120, "Invalid interval."),
        ({"symbol": "BTCUSD", "interval": ""}, -1105, "Parameter 'interval' was empty."),
        ({"symbol": "BTCUSD", "interval": "1h", "limit": "0"}, -1102, None),
        ({"symbol": "BTCUSD", "interval": "1h", "limit": "-1"}, -1100, None),
        ({"symbol": "BTCUSD", "interval": "1h", "limit": "ten"}, -1100, None),
        ({"symbol": "BTCUSD", "interval": "1h", "startTime": "now"}, -1100, None),
        ({"symbol": "BTCUSD", "interval": "1h", "startTime": "1.5"}, -1100, None),
        ({"symbol": "btcusd", "interval": "1h"}, -1100, None),
        ({"symbol": "BTC USD", "interval": "1h"}, -1100, None),
        ({"symbol": "BTCUSD", "interval": "1h", "foo": "1"}, -1104, None),
    ],
)
def test_a_wrong_request_gets_the_exchanges_own_code(ask, filled, params, code, message):
    status, content, _ = get(ask, "klines", **params)
    assert (status, content["code"]) == (400, code)
    assert message is None or content["msg"] == message


def test_a_hole_is_no_short_answer_but_a_503_that_says_which(ask, redis, filled):
    redis.delete(keys.coverage(4, "BTC-USD", "1h"))
    status, content, headers = get(ask, "klines", symbol="BTCUSD", interval="1h", limit=5)
    assert (status, content["code"]) == (503, -1001)
    assert "sandbox BTC-USD 1h: candles from " in content["msg"]
    assert int(headers["Retry-After"]) > 0


def test_a_pair_without_a_candle_is_no_empty_list(ask, redis):
    status, content, _ = get(ask, "klines", symbol="BTCUSD", interval="1h")
    assert (status, content["code"]) == (503, -1001)


def test_what_an_answer_stands_on_is_said(ask, filled):
    _, _, headers = get(ask, "klines", symbol="BTCUSD", interval="1h")
    assert headers["X-Livermore-Complete"] == "1"
    assert headers["X-Livermore-Newest-Close"] == str(filled.open_ms)
    assert headers["Cache-Status"] == "livermore; hit"
    assert 0 <= int(headers["Age"]) < 3600


def test_a_change_in_redis_is_in_the_next_answer(ask, redis, filled):
    async def fetch():
        async with ask() as client:
            path = "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h&limit=2"
            for _ in range(200):  # until it is remembered
                before = await (await client.get(path)).json()
                await asyncio.sleep(0.005)
            redis.delete(keys.candles(4, "BTC-USD", "1h"))
            await asyncio.sleep(0.2)
            return before, (await client.get(path)).status

    before, status = asyncio.run(fetch())
    assert len(before) == 2
    assert status == 503


def test_ping_and_time(ask):
    assert get(ask, "ping")[:2] == (200, {})
    status, content, _ = get(ask, "time")
    assert status == 200
    assert list(content) == ["serverTime"]
