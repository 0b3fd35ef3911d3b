"""A server of candles in the test's process, over exchanges that no database knows."""

import asyncio
import time

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from exchanges.lock.status import STATUS_TTL_MS, Holder, State, Status
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.directory import ServedExchange, ServedSymbol
from serving.fetching.holes import Fetched
from serving.server import Server
from tests.conftest import SERVER
from warmup.cache.candles import CandleCache

BTC = ServedSymbol("BTC-USD", "BTCUSD", "BTC", "USD", True, True)
ROW = ServedExchange(4, "sandbox", "binance", True, {"BTCUSD": BTC, "BTC-USD": BTC})
KLINES = "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h"


def say_streamed(redis, exchange_id=ROW.exchange_id, state=State.ACTIVE, **details):
    """Write a status, as a runner that streams does."""
    holder = Holder("x", 1, "here", "::1", 1, int(time.time() * 1000))
    said = Status(state, holder=holder, details=details)
    redis.set(keys.status(exchange_id), orjson.dumps(said.as_json()), px=STATUS_TTL_MS)


class FixedDirectory:
    """The exchanges of a test."""

    def __init__(self, row=ROW):
        self.exchanges = {row.name: row}

    def is_due(self, name):
        return False

    def is_due_soon(self, name):
        return False

    def knows(self, name):
        return name in self.exchanges


class Filled:
    """A pair's past in Redis: 700 hours up to now, each known, and the open bar."""

    def __init__(self, redis, symbol="BTC-USD", timeframe=Timeframe.H1, count=700):
        step = timeframe.ms
        self.open_ms = timeframe.floor(int(time.time() * 1000))
        self.first_ms = self.open_ms - count * step
        self.candles = [
            Candle(
                self.first_ms + at * step, 100.5, 102.25, 99.125, 101 + at / 1000, 0.125, timeframe
            )
            for at in range(count)
        ]
        self.open_candle = Candle(self.open_ms, 101.7, 103, 101, 102.5, 0.25, timeframe)
        cache = CandleCache(redis, ROW.exchange_id)
        cache.write(symbol, timeframe, self.candles, ((self.first_ms, self.open_ms),))
        cache.set_live(symbol, self.open_candle)


@pytest.fixture(scope="session")
def ccxt():
    """Return the library; each process reads all tests, and it takes more than a second."""
    import ccxt.pro

    return ccxt


@pytest.fixture
def filled(redis):
    return Filled(redis)


def fail(redis, exchange_id, holes):
    return Fetched({Pair(hole.symbol, hole.timeframe): "nobody fetches here" for hole in holes})


@pytest.fixture
def ask(redis, monkeypatch):
    """Return an asynchronous context of a client of the server, which has nobody to fetch."""
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.setattr("serving.fetching.opened.fetch_open", lambda *what: None)

    say_streamed(redis)

    def opened(directory=None, **options):
        server = Server(redis, SERVER.url, directory=directory or FixedDirectory())
        return TestClient(TestServer(server.application(), **options))

    return opened


def get(ask, *paths, directory=None):
    """Return status and content of each GET, one after the other."""

    async def fetch():
        async with ask(directory) as client:
            answers = [await client.get(path) for path in paths]
            return [(each.status, await each.json()) for each in answers]

    return asyncio.run(fetch())


def opened(content):
    """Return when the bars of an answer opened."""
    return [row[0] for row in content]
