"""Answers that wait for the bar which ends now."""

import asyncio

import pytest

from livermore.market import keys
from livermore.market.timeframe import Timeframe
from serving.memory.windows import Windows
from tests.serving.conftest import KLINES, get, opened
from warmup.cache.candles import CandleCache

H1 = Timeframe.H1


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
