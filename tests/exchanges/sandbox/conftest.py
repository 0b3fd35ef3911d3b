import pytest
import requests

from exchanges.sandbox.config import SandboxConfig
from exchanges.sandbox.server import SandboxServer

NOW_MS = 1_790_000_123_456  # 2026-09-21 14:15:23.456 UTC, in the middle of a minute


@pytest.fixture(scope="module")
def shared():
    config = SandboxConfig(
        start_ms=NOW_MS,
        speed=0,
        weight_limit=10**9,
        coinbase_rate=10**9,
        coinbase_private_rate=10**9,
    )
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    """A server whose clock stands at NOW_MS and whose limits are out of reach."""
    shared.reset()
    shared.clock.advance(NOW_MS - shared.clock.now_ms())
    return shared


@pytest.fixture
def start():
    """Start a server with its own settings, stopped after the test."""
    running = []

    def start(**settings):
        settings = {"start_ms": NOW_MS, "speed": 0} | settings
        running.append(SandboxServer(SandboxConfig(**settings)).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def get():
    """Call a server over real sockets, as any client does."""
    with requests.Session() as session:

        def get(server, path, **params):
            return session.get(server.url + path, params=params, timeout=10)

        yield get


@pytest.fixture
def klines(get):
    def klines(server, symbol="BTCUSD", interval="1m", **params):
        return get(server, "/api/v3/klines", symbol=symbol, interval=interval, **params)

    return klines


@pytest.fixture
def candles(get):
    def candles(server, product="BTC-USD", granularity="ONE_MINUTE", **params):
        path = f"/api/v3/brokerage/market/products/{product}/candles"
        return get(server, path, granularity=granularity, **params)

    return candles
