"""Our own interface, right and wrong requests."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson
import pyarrow as pa
import pytest
from redis.exceptions import ConnectionError

from livermore.market import keys
from livermore.market.candle import Candle, Ticker
from livermore.market.coverage import subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.native.operations import ARROW
from tests.serving.conftest import Filled, say_streamed
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.cache.tickers import TickerCache

HOUR = 3_600_000
UNTOLD = [None] * 4  # columns that are not known
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
                "name": "sandbox", "id": 4, "displayName": "sandbox", "venue": "binance",
                "active": True, "monitored": ["BTC-USD"], "kinds": ["spot"],
            }
        ]
    }  # fmt: skip


def test_candles_are_closed_ones_oldest_first(ask, filled):
    status, content, headers = get(ask, "candles", **WHOLE, limit=3)
    assert status == 200, content
    assert content["columns"] == [
        "timestamp", "open", "high", "low", "close", "volume",
        "quoteVolume", "trades", "takerBase", "takerQuote",
    ]  # fmt: skip
    assert content["candles"] == [[*candle.values(), *UNTOLD] for candle in filled.candles[-3:]]
    assert content["newestClose"] == filled.open_ms
    assert content["complete"] is True
    assert content["missing"] == []
    assert content["source"] == headers["X-Livermore-Source"] == "rest"  # no close was told
    assert content["next"] is None
    assert "open" not in content
    assert headers["X-Livermore-Complete"] == "1"


def test_the_open_candle_comes_apart_for_who_asks_for_it(ask, filled):
    _, content, _ = get(ask, "candles", **WHOLE, limit=3, open=1)
    assert len(content["candles"]) == 3
    assert content["open"] == [*filled.open_candle.values(), *UNTOLD]


def test_columns_that_are_known_are_told_and_no_others(ask, filled, redis):
    opened = [filled.open_ms - n * HOUR for n in (1, 2)]
    columns = (60.5, 17, 0.0625, 30.25)
    told = Candle(opened[0], 100.5, 102.25, 99.125, 101.0, 0.5, Timeframe.H1, columns)
    CandleCache(redis, 4).write("BTC-USD", Timeframe.H1, [told])
    _, content, _ = get(ask, "candles", **WHOLE, limit=2)
    assert content["candles"][1] == [*told.values(), *columns]
    assert content["candles"][0][6:] == UNTOLD
    _, longer, _ = get(ask, "candles", **WHOLE | {"timeframe": "2h"}, limit=5)
    assert [each[6:] for each in longer["candles"]] == [UNTOLD] * 5


def test_longer_bars_are_made_of_complete_shorter_ones(ask, filled):
    status, content, headers = get(ask, "candles", **WHOLE | {"timeframe": "6h"}, limit=4)
    assert status == 200, content
    assert content["source"] == headers["X-Livermore-Source"] == "derived"
    times = [row[0] for row in content["candles"]]
    newest_ms = filled.open_ms - filled.open_ms % (6 * HOUR) - 6 * HOUR
    assert times == [newest_ms - n * 6 * HOUR for n in (3, 2, 1, 0)]
    assert content["newestClose"] == newest_ms + 6 * HOUR


def test_next_leads_through_a_stretch_that_is_longer_than_the_limit(ask, filled):
    start_ms = filled.first_ms + 100 * HOUR
    asked = {"start": start_ms, "end": start_ms + 25 * HOUR, "limit": 10}
    opened, pages = [], 0
    while asked["start"]:
        _, content, _ = get(ask, "candles", **WHOLE, **asked)
        opened += [row[0] for row in content["candles"]]
        asked["start"], pages = content["next"], pages + 1
    assert opened == [start_ms + n * HOUR for n in range(25)]
    assert pages == 3
    whole = asked | {"start": start_ms, "limit": 25}
    assert get(ask, "candles", **WHOLE, **whole)[1]["next"] is None


@pytest.mark.parametrize("ahead", [0, 1, 5000])
def test_a_stretch_that_has_no_closed_bar_yet_is_empty_and_costs_no_call(
    ask, filled, redis, monkeypatch, ahead
):
    redis.delete(keys.status(4))  # nobody streams: the open candle would be asked of the exchange
    monkeypatch.delattr("serving.fetching.opened.fetch_open")
    status, content, _ = get(ask, "candles", **WHOLE, start=filled.open_ms + ahead * HOUR)
    assert (status, content["candles"], content["next"]) == (200, [], None)


def test_an_open_candle_that_is_not_known_is_null(ask, filled, redis):
    redis.delete(keys.live_candle(4, "BTC-USD", "1h"))
    status, content, _ = get(ask, "candles", **WHOLE, start=filled.open_ms, open=1)
    assert (status, content["candles"], content["open"]) == (200, [], None)
    status, content, _ = get(ask, "candles", **WHOLE, limit=3, open=1)
    assert (status, len(content["candles"]), content["open"]) == (200, 3, None)


@pytest.mark.parametrize("with_open", [0, 1])
def test_all_that_are_kept_are_told_while_the_next_one_is_awaited(
    ask, redis, monkeypatch, with_open
):
    full = Filled(redis, count=1000)
    monkeypatch.delattr("serving.fetching.stretches.fetch_once")
    ended_ms = full.open_ms + HOUR + 1
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, number: ended_ms)
    status, content, _ = get(ask, "candles", **WHOLE, limit=1000, open=with_open)
    assert status == 200, content
    assert [row[0] for row in content["candles"]] == [each.timestamp for each in full.candles]
    assert content.get("open") is None


@pytest.mark.parametrize("part", [0, 1])
def test_the_time_that_is_told_is_one_at_which_it_was_so(ask, filled, redis, monkeypatch, part):
    """A runner may correct the time while an answer is made: a bar is awaited by it, or missing."""
    if part:
        know_all_but(redis, filled, 3)
    monkeypatch.delattr("serving.fetching.stretches.fetch_once")
    begun, ended_ms = [], filled.open_ms + HOUR
    later_ms, earlier_ms = ended_ms + 6000, ended_ms + 4000

    def corrected(clocks, number):
        begun.append(number)
        return later_ms if len(begun) == 1 else earlier_ms

    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", corrected)
    status, said, _ = get(ask, "candles", **WHOLE, limit=5, partial=part)
    assert (status, said["candles"][-1][0]) == (200, filled.open_ms - HOUR)
    assert said["time"] == earlier_ms


def test_a_bar_whose_close_is_known_is_closed_whatever_the_clock_says(
    ask, filled, redis, monkeypatch
):
    """The exchange's time is as its runner told it a moment ago: a close may be there first."""
    close = replace(filled.open_candle, close=102.75)
    whole = ((filled.first_ms, filled.open_ms + HOUR),)
    CandleCache(redis, 4).write("BTC-USD", Timeframe.H1, [close], whole)
    before_ms = filled.open_ms + HOUR - 300
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, number: before_ms)
    for with_open in (0, 1):
        _, content, _ = get(ask, "candles", **WHOLE, limit=1, open=with_open)
        assert content["candles"] == [[*close.values(), *UNTOLD]]
        assert content.get("open") is None


def test_who_waits_is_given_the_bar_that_ends_now(ask, filled, redis, monkeypatch):
    now_ms = filled.open_ms + HOUR - 500
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, number: now_ms)

    async def fetch():
        async with ask() as client:
            asked = urlencode(WHOLE | {"limit": 2, "wait": 20_000})
            waiting = asyncio.ensure_future(client.get(f"/v1/candles?{asked}"))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            whole = ((filled.open_ms, filled.open_ms + HOUR),)
            CandleCache(redis, 4).write("BTC-USD", Timeframe.H1, [filled.open_candle], whole)
            answer = await asyncio.wait_for(waiting, 10)
            return [row[0] for row in (await answer.json())["candles"]]

    assert asyncio.run(fetch()) == [filled.open_ms - HOUR, filled.open_ms]


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
        ("candles", WHOLE | {"wait": "60001"}, 400, "wait is a number from 1 to 60000"),
        ("candles", WHOLE | {"open": "yes"}, 400, "open is 0 or 1"),
        ("macd-v", {"exchange": "sandbox", "symbols": ","}, 400, "symbols names none: leave it"),
        ("macd-v", {"exchange": "sandbox", "timeframes": "2h"}, 400, "timeframes: unknown time"),
        ("symbols", {"exchange": "no"}, 404, "There is no exchange 'no'; known: sandbox"),
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
    assert content["missing"][-1][1] % HOUR == 0
    assert int(headers["Retry-After"]) > 0


def know_all_but(redis, filled, *holes):
    """Take candles out of what is kept, and of what is known; each is counted from the newest."""
    times = [filled.open_ms - number * HOUR for number in holes]
    for each in times:
        redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), each, each)
    known = subtract([(filled.first_ms, filled.open_ms)], [(each, each + HOUR) for each in times])
    redis.set(keys.coverage(4, "BTC-USD", "1h"), orjson.dumps(known))
    return [[*each] for each in union((each, each + HOUR) for each in times)]


@pytest.mark.parametrize("holes", [(1,), (3,), (1, 2, 3), (4, 9), (400,)])
@pytest.mark.parametrize("form", ["json", "arrow"])
def test_who_takes_a_part_is_told_what_is_missing(ask, redis, filled, holes, form):
    gone = know_all_but(redis, filled, *holes)
    assert get(ask, "candles", **WHOLE, limit=10, open=1)[0] == (503 if holes != (400,) else 200)
    said, rows, headers = told(ask, form, **WHOLE, limit=10, open=1, partial=1)
    there = [each for each in range(10, 0, -1) if each not in holes]
    assert [row[0] for row in rows] == [filled.open_ms - each * HOUR for each in there]
    assert said["missing"] == (gone if holes != (400,) else [])
    assert said["complete"] is (holes == (400,))
    assert headers["X-Livermore-Complete"] == ("1" if said["complete"] else "0")
    assert said["newestClose"] == filled.open_ms - (min(set(range(1, 99)) - {*holes}) - 1) * HOUR
    assert said["open"][0] == filled.open_ms


def told(ask, form, **params):
    """Return what is said beside the candles, the candles, and the headers, of either form."""

    async def fetch():
        async with ask() as client:
            accept = {"Accept": ARROW if form == "arrow" else "application/json"}
            answer = await client.get(f"/v1/candles?{urlencode(params)}", headers=accept)
            return await answer.read(), answer.headers

    body, headers = asyncio.run(fetch())
    if form == "json":
        said = orjson.loads(body)
        return said, said["candles"], headers
    table = pa.ipc.open_stream(body).read_all()
    rows = [[each] for each in table.column("timestamp").cast("int64").to_pylist()]
    return orjson.loads(table.schema.metadata[b"livermore"]), rows, headers


def test_pages_with_holes_lead_through_a_whole_stretch(ask, redis, filled):
    gone = know_all_but(redis, filled, 4, 5, 6, 9, 12)
    start, seen, missing = filled.open_ms - 13 * HOUR, [], []
    while start is not None:
        page = {"start": start, "end": filled.open_ms, "limit": 5, "partial": 1}
        _, said, _ = get(ask, "candles", **WHOLE, **page)
        seen += [row[0] for row in said["candles"]]
        missing += said["missing"]
        start = said["next"]
    assert seen == [filled.open_ms - each * HOUR for each in (13, 11, 10, 8, 7, 3, 2, 1)]
    assert sum(until - since for since, until in missing) == 5 * HOUR
    assert missing[0] == gone[0]


def test_a_part_that_ends_before_a_hole_leads_on_to_it(ask, redis, filled):
    quiet_ms = filled.open_ms - 9 * HOUR
    redis.zremrangebyscore(keys.candles(4, "BTC-USD", "1h"), quiet_ms, quiet_ms)
    know_all_but(redis, filled, 5)
    page = {"start": quiet_ms - HOUR, "limit": 5, "partial": 1}
    _, said, _ = get(ask, "candles", **WHOLE, **page)
    assert [row[0] for row in said["candles"]] == [
        filled.open_ms - each * HOUR for each in (10, 8, 7, 6)
    ]
    assert (said["complete"], said["next"]) == (True, filled.open_ms - 5 * HOUR)


def test_a_part_has_as_many_bars_while_the_next_one_is_awaited(ask, redis, filled, monkeypatch):
    know_all_but(redis, filled, 3)
    ended_ms = filled.open_ms + HOUR + 1
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, number: ended_ms)
    _, said, _ = get(ask, "candles", **WHOLE, limit=5, partial=1)
    assert [row[0] for row in said["candles"]] == [
        filled.open_ms - each * HOUR for each in (5, 4, 2, 1)
    ]


@pytest.mark.parametrize("ahead", [1, 2])
def test_the_open_candle_takes_no_place_where_the_end_is_yet_to_come(ask, filled, ahead):
    asked = {"end": filled.open_ms + ahead * HOUR, "limit": 3, "open": 1}
    _, content, _ = get(ask, "candles", **WHOLE, **asked)
    assert len(content["candles"]) == 3
    assert content["open"][0] == filled.open_ms


def test_who_takes_a_part_of_nothing_is_told_that_all_is_missing(ask, redis):
    status, said, _ = get(ask, "candles", **WHOLE, limit=10, partial=1)
    assert (status, said["candles"], said["complete"]) == (200, [], False)
    assert said["newestClose"] is None
    assert sum(until - since for since, until in said["missing"]) in (9 * HOUR, 10 * HOUR)


def test_nobody_is_told_a_part_of_what_cannot_be_read(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.memory.windows.CandleCache.windows", raise_away)
    status, said, _ = get(ask, "candles", **WHOLE, partial=1)
    assert status == 503
    assert "cache can't be read" in said["error"]


def raise_away(*_):
    raise ConnectionError("away")


def test_macd_v_of_all_pairs_or_of_some(ask, redis):
    value = {"timestamp": 1_795_046_400_000, "value": 12.5, "symbol": "BTC-USD"}
    IndicatorCache(redis, 4).write_many({Pair("BTC-USD", Timeframe.H1): value})
    _, content, _ = get(ask, "macd-v", exchange="sandbox", timeframes="1h,1d")
    assert content["streamed"] is True
    assert content["values"] == [
        {"symbol": "BTC-USD", "timeframe": "1h", "macdV": value, "current": False},
        {"symbol": "BTC-USD", "timeframe": "1d", "macdV": None, "current": False},
    ]


def write_value(redis, timestamp):
    value = {"timestamp": timestamp, "value": 12.5}
    IndicatorCache(redis, 4).write_many({Pair("BTC-USD", Timeframe.H1): value})


def is_current(ask):
    """Ask a server that knows of no value yet."""
    _, content, _ = get(ask, "macd-v", exchange="sandbox", symbols="BTCUSD", timeframes="1h")
    (value,) = content["values"]
    return value["current"]


def test_a_value_is_current_while_it_stands_on_the_newest_candle(ask, filled, redis):
    write_value(redis, filled.open_ms - 2 * HOUR)
    assert not is_current(ask)
    write_value(redis, filled.open_ms - HOUR)
    assert is_current(ask)


def test_a_value_is_current_over_bars_that_are_known_to_be_empty_and_over_no_others(
    ask, filled, redis, monkeypatch
):
    write_value(redis, filled.open_ms - HOUR)
    later_ms = filled.open_ms + 3 * HOUR
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, number: later_ms)
    assert not is_current(ask)
    empty = ((filled.open_ms, later_ms),)
    CandleCache(redis, 4).write("BTC-USD", Timeframe.H1, [], empty)
    assert is_current(ask)


def test_values_are_read_once_for_all_who_ask_together(ask, redis, monkeypatch):
    """All pairs of many symbols cost Redis a while, in which nothing else is answered."""
    calls, read_many = [], IndicatorCache.read_many

    def count(cache, pairs):
        calls.append(len(pairs))
        return read_many(cache, pairs)

    monkeypatch.setattr(IndicatorCache, "read_many", count)
    monkeypatch.setattr("serving.native.values.HOLDS_SECONDS", 30.0)

    async def fetch():
        async with ask() as client:
            asked = [f"/v1/macd-v?exchange=sandbox{more}" for more in ("", "&timeframes=1h")]
            answers = await asyncio.gather(*(client.get(path) for path in asked * 20))
            return {(each.status, await each.text()) for each in answers}

    assert len(asyncio.run(fetch())) == 2
    assert sorted(calls) == [1, 6]


def test_symbols_are_told_with_both_of_their_names(ask, redis):
    status, content, _ = get(ask, "symbols", exchange="sandbox")
    assert status == 200
    assert content == {
        "exchange": "sandbox",
        "symbols": [
            {
                "symbol": "BTC-USD", "word": "BTCUSD", "base": "BTC", "quote": "USD",
                "kind": "spot",
                "trading": True, "monitored": True,
            }
        ],
    }  # fmt: skip


def test_tickers_are_told_as_they_are_kept(ask, redis):
    ticker = Ticker("BTC-USD", 101.5, -2.0, -1.93, 104.0, 99.0, 12.5, 1_795_046_400_000)
    TickerCache(redis, 4).write_many([ticker])
    for asked in ({}, {"symbols": "BTCUSD"}):
        _, content, _ = get(ask, "tickers", exchange="sandbox", **asked)
        told = {"exchange": "sandbox", "streamed": True, "tickers": [ticker.as_json()]}
        assert content == told
    redis.delete(keys.ticker(4, "BTC-USD"))
    assert get(ask, "tickers", exchange="sandbox")[1]["tickers"] == []


def test_candles_say_what_time_it_is_at_the_exchange(ask, filled, redis):
    say_streamed(redis, exchangeTime=filled.open_ms + 7000, exchangePace=0)
    _, content, _ = get(ask, "candles", **WHOLE, limit=1)
    assert content["time"] == filled.open_ms + 7000


def test_status_says_whether_the_stream_comes(ask, redis):
    _, content, _ = get(ask, "status", exchange="sandbox")
    assert (content["state"], content["streamed"]) == ("active", True)
    assert abs(content["time"] - time.time() * 1000) < 60_000


def test_status_of_an_exchange_that_does_not_run(ask, redis):
    redis.delete(keys.status(4))
    status, content, _ = get(ask, "status", exchange="sandbox")
    assert status == 200
    assert content["state"] == "offline"
    assert content["streamed"] is False
