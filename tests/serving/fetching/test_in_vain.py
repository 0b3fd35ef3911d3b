"""What an exchange did not tell is not asked for again at once."""

import asyncio
import time

from livermore.market.timeframe import Timeframe
from serving.fetching.holes import Fetched
from tests.serving.conftest import KLINES, get

H1 = Timeframe.H1


def test_what_was_fetched_in_vain_is_not_asked_for_again_at_once(ask, redis, monkeypatch):
    calls = []

    def fetch(redis, exchange_id, holes):
        calls.append(holes)
        return Fetched()

    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fetch)
    answers = get(ask, *[f"{KLINES}&limit=5"] * 10)
    assert {status for status, _ in answers} == {503}
    assert "the exchange did not tell them" in answers[-1][1]["msg"]
    assert len(calls) == 1


def test_who_asks_on_and_on_does_not_put_off_the_next_try(ask, redis, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "serving.fetching.fetches.fetch_holes", lambda *what: calls.append(what) or Fetched()
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
        "serving.fetching.fetches.fetch_holes", lambda *what: calls.append(what) or Fetched()
    )
    until_ms = H1.floor(int(time.time() * 1000)) - 100 * H1.ms
    answers = get(ask, *[f"{KLINES}&limit=5", f"{KLINES}&limit=5&endTime={until_ms}"] * 5)
    assert {status for status, _ in answers} == {503}
    assert len(calls) == 2
