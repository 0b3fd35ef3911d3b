"""What is passed on is asked once, by the exchange's own names, and only where it may be."""

import asyncio
import time
from dataclasses import replace

import pytest

from exchanges.errors import BadPayload, Banned, RateLimited
from livermore.market.timeframe import Timeframe
from tests.serving.conftest import BTC, KLINES, ROW, FixedDirectory, get

H1 = Timeframe.H1
DEPTH = "/sandbox/api/v3/depth?symbol=BTCUSD"


def test_what_is_passed_on_is_asked_once_while_it_holds_whatever_came_of_it(
    ask, redis, monkeypatch
):
    asked = []

    def fetch_json(number, path, params, *others):
        asked.append(params.get("limit"))
        match params.get("limit"):
            case "1":
                error = BadPayload("refused")
                error.reply = (400, {"code": -1130, "msg": "no"})
                raise error
            case "2":
                raise RateLimited("says too many requests (HTTP 429)", 30)
            case "3":
                raise Banned("api.example.org", int(1000 * (time.time() + 300)))
        return {"lastUpdateId": 1}

    monkeypatch.setattr("serving.fetching.passing.fetch_json", fetch_json)
    monkeypatch.setattr("serving.binance.rest.MOMENT_SECONDS", 60.0)

    async def fetch():
        async with ask() as client:
            found = {}
            for limit in ("1", "2", "3", "4"):
                both = [await client.get(f"{DEPTH}&limit={limit}") for _ in range(2)]
                assert await both[0].json() == await both[1].json()
                found[limit] = both
            return found

    found = asyncio.run(fetch())
    assert asked == ["1", "2", "3", "4"]
    assert [both[0].status for both in found.values()] == [400, 503, 503, 200]
    assert [both[1].status for both in found.values()] == [400, 503, 503, 200]
    for limit, most in (("2", 30), ("3", 300)):
        for each in found[limit]:
            assert most - 25 <= int(each.headers["Retry-After"]) <= most
    for limit in ("1", "4"):
        first, again = (each.headers for each in found[limit])
        assert first["Cache-Status"] == "livermore; fwd=miss"
        assert again["Cache-Status"] == "livermore; hit"
        assert 0 <= int(again["Age"]) < 60


def test_nothing_is_sent_to_an_exchange_that_is_switched_off(ask, redis, filled):
    off = FixedDirectory(replace(ROW, is_active=False))
    kept, passed = get(ask, f"{KLINES}&limit=5", DEPTH, directory=off)
    assert kept[0] == 200
    assert passed[0] == 503
    assert passed[1]["msg"] == "sandbox is switched off: activate it in the admin first"


@pytest.mark.parametrize("symbol", ["NOPE", "BTC-EUR"])
def test_a_symbol_that_is_not_listed_is_not_asked_for(ask, redis, monkeypatch, symbol):
    monkeypatch.delattr("serving.fetching.passing.fetch_json")
    ((status, content),) = get(ask, f"/sandbox/api/v3/depth?symbol={symbol}")
    assert (status, content["code"]) == (400, -1121)


def test_a_symbol_is_asked_for_by_the_exchanges_own_name(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.fetching.passing.fetch_json", lambda *what: [what[2]])
    paths = ("depth?symbol=BTC-USD", 'ticker/bookTicker?symbols=["BTC-USD"]')
    one, many = get(ask, *(f"/sandbox/api/v3/{each}" for each in paths))
    assert one == (200, [{"symbol": BTC.word}])
    assert many == (200, [{"symbols": '["BTCUSD"]'}])
