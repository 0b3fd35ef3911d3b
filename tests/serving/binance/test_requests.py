"""Binance's REST, request by request: status, code, words, digits and types of each answer.

Where the documentation of July 2026 (rest-api.md, errors.md, CHANGELOG.md) says nothing a row
stands on answers of api.binance.com that others have written down in their tests and issues, and
says so. Three of these go against the documentation or beyond it: a `limit` of 0 is "malformed",
a name that is unknown is looked at only once all others are right, and a symbol before an interval.
"""

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import TestClient, TestServer
from redis import Redis

from serving.directory import ServedExchange
from serving.server import Server
from tests.conftest import SERVER
from tests.serving.binance import requests_table
from tests.serving.binance.requests_table import BARS, HOUR, PASSED, ROWS, Truth
from tests.serving.conftest import ROW, FixedDirectory, fail, say_streamed
from warmup.cache.candles import CandleCache
from warmup.cache.tickers import TickerCache

COINBASE = ServedExchange(3, "coinbase", "coinbase", True, ROW.symbols)


class TwoExchanges(FixedDirectory):
    def __init__(self):
        self.exchanges = {each.name: each for each in (ROW, COINBASE)}


def fill(redis, truth):
    """Write what is known of both exchanges."""
    cache = CandleCache(redis, ROW.exchange_id)
    closed = [truth.candle(hours) for hours in range(-BARS, 0)]
    cache.write("BTC-USD", closed[0].timeframe, closed, ((truth.time(-BARS), truth.open_ms),))
    cache.set_live("BTC-USD", truth.candle(0))
    for row in (ROW, COINBASE):
        say_streamed(redis, row.exchange_id)
        TickerCache(redis, row.exchange_id).write_many([truth.ticker])


async def ask_all(redis, truth, asked):
    """Return status, content and what the exchange was asked for, of each row."""
    server, found = Server(redis, SERVER.url, directory=TwoExchanges()), {}
    async with TestClient(TestServer(server.application())) as client:
        for row in ROWS:
            asked.clear()
            path = f"/{row.exchange}/api/v3/{row.address(truth)}"
            answer = await client.request(row.method, path, headers=row.headers)
            body = await answer.read()
            is_json = body and answer.content_type == "application/json"
            found[row] = SimpleNamespace(
                status=answer.status,
                content=await answer.json() if is_json else body.decode() or None,
                asked=list(asked),
            )
    return found


@pytest.fixture(scope="module")
def answers():
    """Ask for all rows at one server, whose exchange answers whatever is passed on to it."""
    truth = Truth(int(time.time() * 1000) // HOUR * HOUR)
    asked = []

    def fetch_json(number, path, params, *others):
        asked.append(path)
        return PASSED

    with pytest.MonkeyPatch.context() as patch, Redis.from_url(SERVER.url) as redis:
        redis.flushall()
        fill(redis, truth)
        patch.setattr("serving.fetching.passing.fetch_json", fetch_json)
        patch.setattr("serving.fetching.fetches.fetch_holes", fail)
        now_ms = "serving.candles.clocks.Clocks.now_ms"
        patch.setattr(now_ms, lambda self, exchange_id: truth.open_ms + 60_000)
        return truth, asyncio.run(ask_all(redis, truth, asked))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.line().partition(" | ")[0][2:90])
def test_a_request_is_answered_as_by_the_exchange(answers, row):
    truth, found = answers
    answer = found[row]
    assert answer.status == row.status, answer.content
    assert answer.content == (row.content(truth) if row.content else None)
    assert answer.asked == ([f"/api/v3/{row.passed}"] if row.passed else [])


def test_each_request_is_there_once():
    assert len(ROWS) == len({row.line() for row in ROWS})


def test_the_document_has_these_rows():
    assert requests_table.DOCUMENT.read_text() == requests_table.written(), (
        "write it anew: python -m tests.serving.binance.requests_table --write"
    )
