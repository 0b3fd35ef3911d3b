from pathlib import Path
from typing import NamedTuple

import pytest

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.models import Exchange
from exchanges.rest.base import LONGEST_LOOK_BACK
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.sandbox.symbols import DEFAULT
from exchanges.symbols.listed import PERPETUAL, SPOT
from tests.exchanges.rest.test_client import Server

NOW_MS = 1_790_000_123_456  # 2026-09-21 14:15:23.456 UTC, in the middle of a minute
TODAY_MS = NOW_MS - NOW_MS % 86_400_000
NEW = Listing("NEW-USD", "12.3400", lot=1_000_000, listed_ms=TODAY_MS + 5 * 3_600_000)
LISTINGS = (*DEFAULT, NEW)


class Place(NamedTuple):
    """What is to be known of a venue where the same is tried with all of them in a sandbox.

    `candles` and `listing` are endpoints there; `unit` is that of a row's time, `path` what of the
    REST address follows the host. `lists_all`: what does not trade is listed too. `reaches_now`:
    all answers do, as no end can be asked for. `ban_seconds` is how long a ban of a minute lasts.
    """

    venue: str
    kind: str = SPOT
    candles: str = "klines"
    listing: str = "exchangeInfo"
    listing_calls: int = 1
    unit: str = "milliseconds"
    path: str = ""
    lists_all: bool = True
    reaches_now: bool = False
    ban_seconds: int = 60

    def __str__(self):
        return self.venue if self.kind == SPOT else f"{self.venue}-{self.kind}"

    def named(self, symbol, market):
        """Return the symbol of this kind that has the prices of a spot symbol."""
        if self.kind == SPOT:
            return symbol
        return next(one.symbol for one in market.listings.values() if one.walks_as == symbol)


PLACES = (
    Place("binance"),
    Place("binance_usdm", PERPETUAL),
    *(
        Place("bybit", kind, "kline", "instruments", listing_calls=2, lists_all=False)
        for kind in (SPOT, PERPETUAL)
    ),
    Place(
        "coinbase",
        candles="candles",
        listing="products",
        unit="seconds",
        path="/api/v3/brokerage",
    ),
    Place(
        "kraken",
        candles="candles",
        listing="pairs",
        unit="seconds",
        reaches_now=True,
        ban_seconds=900,
    ),
    Place("okx", candles="candles", listing="instruments", listing_calls=2),
    Place("okx", PERPETUAL, candles="candles", listing="instruments", listing_calls=2),
)
PATHS = {place.venue: place.path for place in PLACES}
ROOMY = {
    "weight_limit": 10**9,
    "usdm_weight_limit": 10**9,
    "coinbase_rate": 10**9,
    "coinbase_private_rate": 10**9,
    "bybit_calls": 10**9,
    "kraken_calls": 10**9,
    "okx_calls": 10**9,
}


@pytest.fixture(scope="session")
def shared():
    config = SandboxConfig(start_ms=NOW_MS, speed=0, listings=LISTINGS, **ROOMY)
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    """Return a server whose clock stands at NOW_MS and whose limits are out of reach."""
    shared.reset()
    shared.clock.advance(NOW_MS - shared.clock.now_ms())
    return shared


@pytest.fixture
def start():
    """Start a server with its own settings, stopped after the test."""
    running = []

    def start(**settings):
        running.append(SandboxServer(SandboxConfig(**settings)).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def wire():
    """Return a server that says what it is told to."""
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.001)


@pytest.fixture
def row(db):
    """Return a maker of exchange rows that lead to a server; they pace without any pause."""

    def row(venue, server, **settings):
        path = PATHS.get(venue, "")
        settings = {"batch_size": 50, "batch_delay_ms": 0} | settings
        name = f"{venue}-{Exchange.objects.count()}"
        return Exchange.objects.create(
            name=name, display_name=name, venue=venue, rest_url=server.url + path, **settings
        )

    return row


@pytest.fixture
def adapters(redis):
    """Return a maker of REST sides as the registry makes them, closed after the test."""
    made = []

    def adapter(exchange):
        made.append(ExchangeAdapterFactory(redis).rest(exchange))
        return made[-1]

    yield adapter
    for rest in made:
        rest.close()


@pytest.fixture
def binance(row, adapters, sandbox):
    return adapters(row("binance", sandbox))


@pytest.fixture
def coinbase(row, adapters, sandbox):
    return adapters(row("coinbase", sandbox))


@pytest.fixture
def payload():
    """Return a recorded reply, whole."""
    folder = Path(__file__).parent / "payloads"
    return lambda name: (folder / f"{name}.json").read_bytes()


def told_of(rest):
    """Return how many of the newest bars are looked through at the most."""
    return min(LONGEST_LOOK_BACK, rest.depth_rows or LONGEST_LOOK_BACK)


def values(candles):
    return [tuple(candle.values()) for candle in candles]
