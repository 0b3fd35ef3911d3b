"""The open candle: the stream's, else the exchange's own word of this moment."""

import asyncio
import threading
from dataclasses import replace

import pytest

from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.derived import DERIVED
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.fetching.holes import Fetched
from tests.serving.conftest import BTC, KLINES, ROW, FixedDirectory, get, opened
from warmup.cache.candles import CandleCache

H1 = Timeframe.H1


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
    monkeypatch.setattr("serving.memory.windows.LIVE_SECONDS", 0.0)

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


@pytest.mark.parametrize("is_warm", [True, False])
def test_of_an_open_candle_that_is_made_what_has_ended_is_fetched(
    ask, redis, filled, monkeypatch, is_warm
):
    """By itself, or with what else is missing."""
    redis.delete(keys.status(4))
    two = DERIVED["2h"]
    opened_ms = two.ceil(filled.open_ms)
    now_ms = opened_ms + H1.ms + 600_000
    monkeypatch.setattr("serving.candles.clocks.Clocks.now_ms", lambda self, exchange_id: now_ms)
    ended = replace(filled.open_candle, volume=3.0)
    told = replace(ended, timestamp=opened_ms + H1.ms, volume=7.0)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: told)
    from_ms = opened_ms if is_warm else opened_ms - two.ms
    before = [replace(ended, timestamp=at) for at in range(filled.open_ms, from_ms, H1.ms)]
    CandleCache(redis, 4).cut_back(Pair("BTC-USD", H1), from_ms, now_ms)
    if before:
        CandleCache(redis, 4).write("BTC-USD", H1, before, ((filled.open_ms, from_ms),))
    asked = []

    def fetch(redis, exchange_id, holes):
        (stretches,) = [hole.ranges for hole in holes]
        asked.append(stretches)
        times = [at for start, end in stretches for at in range(start, end, H1.ms)]
        candles = [replace(ended, timestamp=at) for at in times]
        CandleCache(redis, 4).write("BTC-USD", H1, candles, stretches)
        return Fetched()

    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fetch)
    two_hours = f"{KLINES.replace('1h', '2h')}&limit=2"
    first, again = get(ask, two_hours, two_hours)
    assert opened(first[1]) == [opened_ms - two.ms, opened_ms]
    assert float(first[1][-1][5]) == 10.0
    assert again == first
    assert asked == [((from_ms, opened_ms + H1.ms),)]


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


def test_an_open_candle_that_has_ended_while_it_was_asked_for_is_not_told(
    ask, redis, filled, monkeypatch
):
    """Who asks would take it for a closed one, without the trades of its last seconds."""
    redis.delete(keys.live_candle(4, "BTC-USD", "1h"))
    ends_ms = filled.open_ms + H1.ms
    clock = {"ms": ends_ms - 500}

    def fetch_open(*what):
        clock["ms"] = ends_ms + 500
        return Candle(filled.open_ms, 200.0, 203.0, 199.0, 202.5, 7.0, H1)

    monkeypatch.setattr("serving.fetching.opened.fetch_open", fetch_open)
    now_ms = "serving.candles.clocks.Clocks.now_ms"
    monkeypatch.setattr(now_ms, lambda self, exchange_id: clock["ms"])
    ((status, content),) = get(ask, f"{KLINES}&limit=3")
    assert status == 200
    assert opened(content) == [filled.open_ms - n * H1.ms for n in (3, 2, 1)]
