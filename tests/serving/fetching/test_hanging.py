"""An exchange that does not answer holds up nobody but who waits for it."""

import asyncio
import threading

import aiohttp
import pytest

from livermore.market.timeframe import Timeframe
from tests.serving.conftest import KLINES

H1 = Timeframe.H1
DEPTH = "/sandbox/api/v3/depth?symbol=BTCUSD"


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
            asked = [asyncio.ensure_future(client.get(f"{DEPTH}&limit={n + 1}")) for n in range(6)]
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            (refused,) = [each.result() for each in done]
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
