"""What is told of an exchange that nobody streams, that hangs, or whose bar ends just now."""

import asyncio
import threading
import time
from dataclasses import replace

import aiohttp
import orjson
import pytest
from django.db import OperationalError

from exchanges.errors import BadPayload, Banned, RateLimited
from exchanges.lock.status import STATUS_TTL_MS, State, Status
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from serving.candles.derived import DERIVED
from serving.candles.windows import Windows
from serving.fetching.stretches import Told
from tests.serving.conftest import BTC, ROW, FixedDirectory
from warmup.cache.candles import CandleCache

H1 = Timeframe.H1
KLINES = "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h"
DEPTH = "/sandbox/api/v3/depth?symbol=BTCUSD"


def get(ask, *paths, directory=None):
    """Return status and content of each GET, one after the other."""

    async def fetch():
        async with ask(directory) as client:
            answers = [await client.get(path) for path in paths]
            return [(each.status, await each.json()) for each in answers]

    return asyncio.run(fetch())


def opened(content):
    return [row[0] for row in content]


def test_the_next_bar_is_not_told_behind_one_that_has_ended_and_is_missing(
    ask, redis, filled, monkeypatch
):
    ends_ms = filled.open_ms + H1.ms
    CandleCache(redis, 4).set_live("BTC-USD", replace(filled.open_candle, timestamp=ends_ms))
    times = iter([ends_ms - 1])
    now_ms = "serving.candles.clocks.Clocks.now_ms"
    monkeypatch.setattr(now_ms, lambda self, exchange_id: next(times, ends_ms + 1))
    ((status, content),) = get(ask, f"{KLINES}&limit=3")
    assert status == 200
    assert opened(content) == [filled.open_ms - n * H1.ms for n in (3, 2, 1)]


def test_a_bar_whose_close_is_there_before_the_clock_says_so_is_told_as_closed(
    ask, redis, filled, monkeypatch
):
    whole = ((filled.first_ms, filled.open_ms + H1.ms),)
    CandleCache(redis, 4).write("BTC-USD", H1, [replace(filled.open_candle, close=102.75)], whole)
    early_ms = filled.open_ms + H1.ms - 300
    now_ms = "serving.candles.clocks.Clocks.now_ms"
    monkeypatch.setattr(now_ms, lambda self, exchange_id: early_ms)
    ((status, content),) = get(ask, f"{KLINES}&limit=1")
    assert (status, opened(content)) == (200, [filled.open_ms])
    assert float(content[0][4]) == 102.75


def test_where_no_open_candle_is_known_a_closed_one_fills_its_place(ask, redis, filled):
    redis.delete(keys.live_candle(4, "BTC-USD", "1h"))
    one, from_there = get(ask, f"{KLINES}&limit=1", f"{KLINES}&startTime={filled.open_ms}")
    assert opened(one[1]) == [filled.open_ms - H1.ms]
    assert from_there[0] == 503
    assert "no open candle is known" in from_there[1]["msg"]


def test_an_open_candle_that_nobody_streams_any_more_is_asked_of_the_exchange(
    ask, redis, filled, monkeypatch
):
    redis.delete(keys.status(4))  # of the runner that is gone
    told = Candle(filled.open_ms, 200.0, 203.0, 199.0, 202.5, 7.0, H1)
    calls = []
    monkeypatch.setattr(
        "serving.fetching.opened.fetch_open", lambda *what: calls.append(what) or told
    )
    first, again = get(ask, f"{KLINES}&limit=1", f"{KLINES}&limit=1")
    assert float(first[1][0][4]) == float(again[1][0][4]) == 202.5
    assert len(calls) == 1


def test_an_open_candle_that_the_stream_has_not_told_yet_is_asked_of_the_exchange(
    ask, redis, filled, monkeypatch
):
    redis.delete(keys.live_candle(4, "BTC-USD", "1h"))
    told = Candle(filled.open_ms, 200.0, 203.0, 199.0, 202.5, 7.0, H1)
    calls = []
    monkeypatch.setattr(
        "serving.fetching.opened.fetch_open", lambda *what: calls.append(what) or told
    )
    monkeypatch.setattr("serving.fetching.opened.OPEN_HOLDS_SECONDS", 0.0)
    monkeypatch.setattr("serving.candles.windows.LIVE_SECONDS", 0.0)

    async def fetch():
        async with ask() as client:
            found = [await client.get(f"{KLINES}&limit=1") for _ in range(2)]
            CandleCache(redis, 4).set_live("BTC-USD", filled.open_candle)
            found.append(await client.get(f"{KLINES}&limit=1"))
            return [((await each.json())[0], each.headers) for each in found]

    answers = asyncio.run(fetch())
    assert [row[0] for row, _ in answers] == [filled.open_ms] * 3
    assert [float(row[4]) for row, _ in answers] == [202.5, 202.5, 102.5]
    assert [headers["X-Livermore-Source"] for _, headers in answers] == ["rest", "rest", "stream"]
    assert answers[0][1]["Cache-Status"] == "livermore; fwd=miss"
    assert len(calls) == 1


def test_an_open_candle_of_a_symbol_that_is_not_streamed_is_the_exchanges_own(
    ask, redis, filled, monkeypatch
):
    told = Candle(filled.open_ms, 200.0, 203.0, 199.0, 202.5, 7.0, H1)
    calls = []
    monkeypatch.setattr(
        "serving.fetching.opened.fetch_open", lambda *what: calls.append(what) or told
    )
    monkeypatch.setattr("serving.fetching.opened.OPEN_HOLDS_SECONDS", 0.0)
    row = replace(ROW, symbols=dict.fromkeys(ROW.symbols, replace(BTC, is_monitored=False)))
    found = get(ask, *[f"{KLINES}&limit=1"] * 3, directory=FixedDirectory(row))
    assert [float(content[0][4]) for _, content in found] == [202.5] * 3
    assert len(calls) == 1


def test_an_open_candle_of_the_bar_before_is_not_kept(ask, redis, filled, monkeypatch):
    redis.delete(keys.live_candle(4, "BTC-USD", "1h"))
    told = Candle(filled.open_ms, 200.0, 203.0, 199.0, 202.5, 7.0, H1)
    late = [replace(told, timestamp=filled.open_ms - H1.ms), told]
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: late.pop(0))
    monkeypatch.setattr("serving.fetching.opened.OPEN_HOLDS_SECONDS", 0.0)
    first, again = get(ask, f"{KLINES}&limit=1", f"{KLINES}&limit=1")
    assert opened(first[1]) == [filled.open_ms - H1.ms]
    assert float(first[1][0][4]) == filled.candles[-1].close
    assert float(again[1][0][4]) == 202.5


def test_of_an_open_candle_that_is_made_what_has_ended_is_fetched(ask, redis, filled, monkeypatch):
    redis.delete(keys.status(4))
    two = DERIVED["2h"]
    opened_ms = two.ceil(filled.open_ms)
    now_ms = opened_ms + H1.ms + 600_000
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, exchange_id: now_ms)
    ended = replace(filled.open_candle, volume=3.0)
    told = replace(ended, timestamp=opened_ms + H1.ms, volume=7.0)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: told)
    asked = []

    def fetch(redis, exchange_id, holes):
        (stretches,) = [hole.ranges for hole in holes]
        asked.append(stretches)
        times = [at for start, end in stretches for at in range(start, end, H1.ms)]
        candles = [replace(ended, timestamp=at) for at in times]
        CandleCache(redis, 4).write("BTC-USD", H1, candles, stretches)
        return {}

    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fetch)
    two_hours = f"{KLINES.replace('1h', '2h')}&limit=2"
    first, again = get(ask, two_hours, two_hours)
    assert opened(first[1]) == [opened_ms - two.ms, opened_ms]
    assert float(first[1][-1][5]) == 10.0
    assert again == first
    assert asked[-1] == ((opened_ms, opened_ms + H1.ms),)


def test_who_asks_an_exchange_that_hangs_for_an_open_candle_waits_once(
    ask, redis, filled, monkeypatch
):
    redis.delete(keys.live_candle(4, "BTC-USD", "1h"))
    over = threading.Event()
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: over.wait(60) and None)
    longest = "serving.fetching.opened.LONGEST_OPEN_SECONDS"

    async def fetch():
        async with ask() as client:
            monkeypatch.setattr(longest, 0.05)
            first = await client.get(f"{KLINES}&limit=1")
            monkeypatch.setattr(longest, 600.0)
            async with asyncio.timeout(20):
                again = await client.get(f"{KLINES}&limit=1")
            over.set()
            return await first.json(), await again.json()

    first, again = asyncio.run(fetch())
    assert opened(first) == opened(again) == [filled.open_ms - H1.ms]


def test_an_open_candle_that_was_asked_for_is_a_part_of_its_answer(ask, redis, filled, monkeypatch):
    redis.delete(keys.status(4))
    told = Candle(filled.open_ms, 200.0, 203.0, 199.0, 202.5, 7.0, H1)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: told)
    monkeypatch.setattr("serving.fetching.opened.OPEN_HOLDS_SECONDS", 60.0)

    async def fetch(*paths):
        for name in redis.scan_iter(keys.passed(4, "*")):  # what another server was told
            redis.delete(name)
        async with ask() as client:
            return [(await client.get(path)).headers["Cache-Status"] for path in paths]

    closed = f"{KLINES}&limit=2&endTime={filled.open_ms - 1}"
    assert asyncio.run(fetch(closed, f"{KLINES}&limit=2", f"{KLINES}&limit=2")) == [
        "livermore; hit",
        "livermore; fwd=partial",
        "livermore; hit",
    ]
    assert asyncio.run(fetch(f"{KLINES}&limit=1", f"{KLINES}&limit=1")) == [
        "livermore; fwd=miss",
        "livermore; hit",
    ]
    two = f"{KLINES.replace('1h', '2h')}&limit=2"
    assert asyncio.run(fetch(two, two)) == ["livermore; fwd=partial", "livermore; hit"]


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


def test_the_first_answer_is_by_the_exchanges_time_already(ask, redis):
    ahead_ms = int(time.time() * 1000) + 10 * H1.ms
    said = Status(State.ACTIVE, details={"exchangeTime": ahead_ms})
    content = said.as_json() | {"instanceId": "x", "epoch": 1, "hostname": "", "ip": "", "pid": 1}
    content["startedAt"] = ahead_ms
    redis.set(keys.status(4), orjson.dumps(content), px=STATUS_TTL_MS)
    ((_, told),) = get(ask, "/sandbox/api/v3/time")
    assert 0 <= told["serverTime"] - ahead_ms < 30_000


def test_what_was_fetched_in_vain_is_not_asked_for_again_at_once(ask, redis, monkeypatch):
    calls = []

    def fetch(redis, exchange_id, holes):
        calls.append(holes)
        return {}

    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fetch)
    answers = get(ask, *[f"{KLINES}&limit=5"] * 10)
    assert {status for status, _ in answers} == {503}
    assert "the exchange did not tell them" in answers[-1][1]["msg"]
    assert len(calls) == 1


def test_who_asks_on_and_on_does_not_put_off_the_next_try(ask, redis, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "serving.fetching.fetches.fetch_holes", lambda *what: calls.append(what) or {}
    )
    monkeypatch.setattr("serving.fetching.fetches.RETRY_SECONDS", 0.3)

    async def fetch():
        async with ask() as client, asyncio.timeout(10):
            while len(calls) < 3:
                assert (await client.get(f"{KLINES}&limit=5")).status == 503

    asyncio.run(fetch())


def test_of_several_stretches_of_a_pair_none_is_asked_for_again_at_once(ask, redis, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "serving.fetching.fetches.fetch_holes", lambda *what: calls.append(what) or {}
    )
    until_ms = H1.floor(int(time.time() * 1000)) - 100 * H1.ms
    answers = get(ask, *[f"{KLINES}&limit=5", f"{KLINES}&limit=5&endTime={until_ms}"] * 5)
    assert {status for status, _ in answers} == {503}
    assert len(calls) == 2


@pytest.fixture
def hanging(monkeypatch):
    """An exchange whose answers to what is passed on never come."""
    released = threading.Event()
    monkeypatch.setattr("serving.fetching.passing.fetch_json", lambda *what: released.wait(30))
    yield
    released.set()


def test_an_exchange_that_hangs_does_not_hold_up_what_is_in_the_cache(
    ask, redis, filled, hanging, monkeypatch
):
    monkeypatch.setattr("serving.fetching.passing.LONGEST_SECONDS", 1.0)

    async def fetch():
        async with ask() as client:
            waiting = [
                asyncio.ensure_future(client.get(f"{DEPTH}&limit={n + 1}")) for n in range(60)
            ]
            await asyncio.sleep(0.2)
            answer = await asyncio.wait_for(client.get(KLINES), 2)
            return answer.status, {(await each).status for each in waiting}

    assert asyncio.run(fetch()) == (200, {503})


def test_no_more_wait_for_an_exchange_than_it_can_answer(ask, redis, hanging, monkeypatch):
    monkeypatch.setattr("serving.fetching.passing.LONGEST_SECONDS", 3.0)
    monkeypatch.setattr("serving.fetching.calls.LONGEST_QUEUE", 5)

    async def fetch():
        async with ask() as client:
            waiting = [
                asyncio.ensure_future(client.get(f"{DEPTH}&limit={n + 1}")) for n in range(5)
            ]
            await asyncio.sleep(0.2)
            refused = await asyncio.wait_for(client.get(f"{DEPTH}&limit=7"), 2)
            for each in waiting:
                each.cancel()
            return refused.status, (await refused.json())["msg"]

    assert asyncio.run(fetch()) == (503, "5 requests wait for sandbox already")


def test_one_client_that_floods_is_refused_before_another_one(ask, redis, hanging, monkeypatch):
    monkeypatch.setattr("serving.fetching.passing.LONGEST_SECONDS", 5.0)
    monkeypatch.setattr("serving.fetching.calls.LONGEST_QUEUE", 8)

    async def fetch():
        elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with ask() as client, aiohttp.ClientSession(connector=elsewhere) as another:
            flood = [asyncio.ensure_future(client.get(f"{DEPTH}&limit={n + 1}")) for n in range(20)]
            await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
            late = await another.get(client.make_url(f"{DEPTH}&limit=50"))
            answers = [await (await each).json() for each in flood]
            return answers, await late.json()

    refused = {"code": -1001, "msg": "8 requests wait for sandbox already"}
    flood, late = asyncio.run(fetch())
    assert flood.count(refused) == 13
    assert late["msg"] == "sandbox has not answered in time"


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


@pytest.mark.parametrize(
    "stored",
    [
        *("rubbish", "[]", "[%d]", "[%d,'x',1.0,1.0,1.0,1.0]", "[%d,1.5,2.5,0.5,1.5,null]"),
        *("[%d,NaN,1.0,1.0,1.0,1.0]", "[%d,1.5,2.5,0.5,1.5,7.0,1.0]", "[%d,1.0] [5"),
    ],
)
def test_what_is_no_candle_is_not_told_as_one(ask, redis, filled, monkeypatch, caplog, stored):
    """Somebody else wrote it: that bar is not known, and all others are."""
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", lambda *what: {})
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


def test_bars_long_ago_that_have_no_candle_are_not_all_there_are(ask, redis, monkeypatch):
    calls = []

    def fetch_once(number, pair, start_ms, end_ms):
        calls.append((start_ms, end_ms))
        return Told([], [], ((start_ms, end_ms),))

    monkeypatch.setattr("serving.fetching.stretches.fetch_once", fetch_once)
    coinbase = FixedDirectory(replace(ROW, venue="coinbase"))
    now_ms = H1.floor(int(time.time() * 1000))
    before, short = (now_ms - hours * H1.ms for hours in (20_000, 1500))
    listed_later, none_at_all = get(
        ask,
        f"{KLINES}&limit=5&startTime={before}",
        f"{KLINES}&limit=5&startTime={short}&endTime={short + 200 * H1.ms}",
        directory=coinbase,
    )
    assert listed_later[0] == 503
    assert "begin later" in listed_later[1]["msg"]
    assert none_at_all == (200, [])
    assert len(calls) == 4  # however long ago


def test_in_place_of_a_few_quiet_bars_no_more_are_asked_for_than_may_be_needed(
    ask, redis, monkeypatch
):
    now_ms = H1.floor(int(time.time() * 1000))
    quiet, last = now_ms - 1400 * H1.ms, []

    def fetch_once(number, pair, start_ms, end_ms):
        last.append(end_ms)
        opened = [each for each in range(start_ms, end_ms, H1.ms) if each != quiet]
        rows = [[each, 1.5, 2.0, 1.0, 1.25, 3.0] for each in opened]
        return Told(opened, rows, ((start_ms, end_ms),))

    monkeypatch.setattr("serving.fetching.stretches.fetch_once", fetch_once)
    coinbase = FixedDirectory(replace(ROW, venue="coinbase"))
    start_ms = now_ms - 1500 * H1.ms
    ((status, rows),) = get(ask, f"{KLINES}&limit=1000&startTime={start_ms}", directory=coinbase)
    assert (status, len(rows)) == (200, 1000)
    assert last[-1] < now_ms - 100 * H1.ms


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


@pytest.mark.parametrize("asked", ["in the address", "in a header"])
def test_who_waits_is_given_the_bar_that_ends_now(ask, redis, filled, monkeypatch, asked):
    now_ms = filled.open_ms + H1.ms - 500
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, exchange_id: now_ms)
    query, headers = {
        "in the address": ("&livermoreWait=20000", {}),
        "in a header": ("", {"X-Livermore-Wait": "20000"}),
    }[asked]

    async def fetch():
        nonlocal now_ms
        async with ask() as client:
            path = f"{KLINES}&limit=2{query}"
            waiting = asyncio.ensure_future(client.get(path, headers=headers))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert (await client.get("/sandbox/api/v3/ping", headers=headers)).status == 200
            now_ms += 600
            whole = ((filled.open_ms, filled.open_ms + H1.ms),)
            CandleCache(redis, 4).write("BTC-USD", H1, [filled.open_candle], whole)
            answer = await asyncio.wait_for(waiting, 10)
            return opened(await answer.json())

    assert asyncio.run(fetch()) == [filled.open_ms - H1.ms, filled.open_ms]


def test_many_who_wait_for_a_bar_are_one_who_looks_for_it(ask, redis, filled, monkeypatch):
    redis.delete(keys.coverage(4, "BTC-USD", "1h"))
    looks, usual = [], Windows.kept
    monkeypatch.setattr(Windows, "kept", lambda *which: looks.append(1) or usual(*which))

    async def fetch():
        async with ask() as client:
            path = f"{KLINES}&livermoreWait=400"
            answers = await asyncio.gather(*(client.get(path) for _ in range(50)))
            return [each.status for each in answers]

    assert asyncio.run(fetch()) == [503] * 50
    assert len(looks) < 400  # each of them for itself: 50 x 20


def test_who_waits_in_vain_is_answered_as_anybody(ask, redis, filled):
    redis.delete(keys.coverage(4, "BTC-USD", "1h"))
    in_vain, nonsense = get(ask, f"{KLINES}&livermoreWait=200", f"{KLINES}&livermoreWait=soon")
    assert in_vain[0] == 503
    assert (nonsense[0], nonsense[1]["code"]) == (400, -1100)


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
