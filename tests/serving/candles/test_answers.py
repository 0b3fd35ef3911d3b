"""What is answered of what is in the cache: how it came, by which time, without a database."""

import asyncio
import time
from dataclasses import replace

import orjson
import pytest
from django.db import OperationalError

from exchanges.lock.status import STATUS_TTL_MS, State, Status
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from serving.fetching.holes import Fetched
from tests.serving.conftest import KLINES, ROW, FixedDirectory, get, opened

H1 = Timeframe.H1


def test_how_the_candles_came_is_said_as_far_as_it_is_known(ask, redis, filled, monkeypatch):
    def tell(opened, healed):
        message = {"symbol": "BTC-USD", "timeframe": "1h", "timestamp": opened, "healed": healed}
        redis.xadd(keys.events(4), {"event": orjson.dumps(message)})

    for hours in (5, 4, 2, 1):
        tell(filled.open_ms - hours * H1.ms, hours == 2)

    async def fetch(*paths):
        async with ask() as client:
            found = [(await client.get(path)).headers for path in paths]
            return [each.get("X-Livermore-Source") for each in found]

    def until(hours):
        return f"{KLINES}&limit=2&endTime={filled.open_ms - hours * H1.ms}"

    paths = [KLINES, f"{KLINES}&limit=2", until(1), until(2), until(4), until(6)]
    assert asyncio.run(fetch(*paths, f"{KLINES.replace('1h', '2h')}&limit=3")) == [
        *("stream, healed, rest", "stream", "stream, healed", "healed, rest", "stream"),
        *("rest", "derived"),
    ]
    redis.xtrim(keys.events(4), maxlen=3, approximate=False)
    assert asyncio.run(fetch(until(6))) == [None]


def test_the_first_answer_is_by_the_exchanges_time_already(ask, redis):
    ahead_ms = int(time.time() * 1000) + 10 * H1.ms
    said = Status(State.ACTIVE, details={"exchangeTime": ahead_ms})
    content = said.as_json() | {"instanceId": "x", "epoch": 1, "hostname": "", "ip": "", "pid": 1}
    content["startedAt"] = ahead_ms
    redis.set(keys.status(4), orjson.dumps(content), px=STATUS_TTL_MS)
    ((_, told),) = get(ask, "/sandbox/api/v3/time")
    assert 0 <= told["serverTime"] - ahead_ms < 30_000


@pytest.mark.parametrize(
    "stored",
    [
        *("rubbish", "[]", "[%d]", "[%d,'x',1.0,1.0,1.0,1.0]", "[%d,1.5,2.5,0.5,1.5,null]"),
        *("[%d,NaN,1.0,1.0,1.0,1.0]", "[%d,1.5,2.5,0.5,1.5,7.0,1.0]", "[%d,1.0] [5"),
    ],
)
def test_what_is_no_candle_is_not_told_as_one(ask, redis, filled, monkeypatch, caplog, stored):
    """Somebody else wrote it: that bar is not known, and all others are."""
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", lambda *what: Fetched())
    name, at = keys.candles(4, "BTC-USD", "1h"), filled.open_ms - 3 * H1.ms
    member = stored.replace("'", '"').replace("%d", str(at))
    redis.zremrangebyscore(name, at, at)
    redis.zadd(name, {member: at})
    native = "/v1/candles?exchange=sandbox&symbol=BTC-USD&timeframe=1h"
    longer = f"{KLINES.replace('1h', '2h')}&limit=4"
    newest, within, *others = get(
        ask, f"{KLINES}&limit=3", f"{KLINES}&limit=4", f"{native}&limit=9", longer
    )
    assert opened(newest[1]) == [filled.open_ms - n * H1.ms for n in (2, 1, 0)]
    assert [status for status, _ in (within, *others)] == [503] * 3
    assert within[1]["msg"].endswith("what is stored there is no candle; repair takes it out")
    assert f"key={name}" in caplog.text


class Away(FixedDirectory):
    """A database that can't be read."""

    def is_due(self, name):
        return True

    def read(self):
        raise OperationalError("the server is gone")


def test_without_the_database_what_was_known_is_served(ask, redis, filled):
    known, other = get(ask, KLINES, "/other/api/v3/ping", directory=Away())
    assert known[0] == 200
    assert other == (
        503,
        {"code": -1001, "msg": "The database can't be read, which knows what is served to whom"},
    )


def test_bars_of_another_time_zone_are_not_those_of_utc(ask, redis, filled, monkeypatch):
    monkeypatch.setattr("serving.fetching.passing.fetch_json", lambda *what: [what[2]["timeZone"]])
    utc, other = get(ask, f"{KLINES}&timeZone=0", f"{KLINES}&timeZone=%2B05:30")
    assert opened(utc[1])[-1] == filled.open_ms
    assert other == (200, ["+05:30"])


def test_each_answer_says_how_much_of_the_exchanges_limits_is_used_up(ask, redis, filled):
    host = "api.example.org"
    second = int(redis.time()[0])
    redis.hset(keys.pacing(host), mapping={f"weight:{second}": 42, "weight_limit": 6000})

    async def fetch():
        async with ask(FixedDirectory(replace(ROW, host=host))) as client:
            return [(await client.get(path)).headers for path in (KLINES, f"{KLINES}&limit=0")]

    assert [each["X-MBX-USED-WEIGHT-1M"] for each in asyncio.run(fetch())] == ["42", "42"]
