import json
import time
from contextlib import ExitStack

import pytest
import requests
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer

NOW_MS = 1_790_000_123_456  # 2026-09-21 14:15:23.456 UTC, in the middle of a minute


@pytest.fixture(scope="module")
def shared():
    config = SandboxConfig(
        start_ms=NOW_MS,
        speed=0,
        weight_limit=10**9,
        coinbase_rate=10**9,
        coinbase_private_rate=10**9,
        okx_calls=10**9,
        bybit_calls=10**9,
        usdm_weight_limit=10**9,
        kraken_calls=10**9,
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


class Client:
    """A WebSocket client that reads JSON and waits with a deadline."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, content):
        self.socket.send(content if isinstance(content, str) else json.dumps(content))

    def next(self, seconds=5):
        return json.loads(self.socket.recv(timeout=seconds))

    def ask(self, method, params=None, request_id=1):
        """Send one of Binance's commands and return what is answered, whatever comes between."""
        params = {} if params is None else {"params": params}
        self.send({"method": method, **params, "id": request_id})
        return self.first(lambda frame: "id" in frame)

    def ready(self):
        """Wait until Binance has taken in the streams of the URL, before the clock is moved."""
        self.ask("LIST_SUBSCRIPTIONS")
        return self

    def subscribe(self, channel, *products):
        """Subscribe on Coinbase and return the frames up to the answer, which comes last."""
        self.send({"type": "subscribe", "channel": channel, "product_ids": products})
        return self.until(lambda frame: frame.get("channel") in (None, "subscriptions"))

    def until(self, wanted, seconds=5):
        """Return the frames up to the first wanted one, which is the last of them."""
        deadline, frames = time.monotonic() + seconds, []
        while not frames or not wanted(frames[-1]):
            frames.append(self.next(max(0, deadline - time.monotonic())))
        return frames

    def first(self, wanted, seconds=5):
        return self.until(wanted, seconds)[-1]

    def is_silent(self, seconds=0.3):
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False

    def closed(self, seconds=5):
        """Wait for the end of the connection and return its code."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.socket.recv(timeout=max(0, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


@pytest.fixture
def connect():
    """Open WebSockets with a client that shares no code with ours."""
    with ExitStack() as opened:

        def connect(server, path="/ws", **options):
            options = {"close_timeout": 0.2} | options  # frames nobody read would hold it up
            client = websockets.sync.client.connect(server.ws_url + path, **options)
            return Client(opened.enter_context(client))

        yield connect


@pytest.fixture
def eventually():
    def eventually(condition, seconds=5):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.005)
        return True

    return eventually
