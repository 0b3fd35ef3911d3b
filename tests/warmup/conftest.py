import time

import pytest

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.models import Exchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.transport import backoff
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.warmup.runners import let_calls_end

SYMBOLS = ["BTC-USD", "ETH-USD", "SOL-USD"]
QUIET = ["AERO-USD", "DASH-USD"]  # Coinbase leaves out their minutes without a trade


@pytest.fixture(autouse=True)
def _try_again_soon(monkeypatch):
    """Let calls that failed be tried again at once: how long they wait is the client's matter."""
    monkeypatch.setattr(backoff, "FIRST_RETRY_SECONDS", 0.05)


@pytest.fixture(scope="module")
def shared():
    """Serve a market whose clock stands still in mid-minute, so that two answers never differ."""
    now_ms = Timeframe.M1.floor(int(time.time() * 1000)) + Timeframe.M1.ms // 2
    config = SandboxConfig(start_ms=now_ms, speed=0, coinbase_rate=10**6)
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    started_ms = shared.clock.now_ms()
    shared.reset()
    yield shared
    shared.clock.advance(started_ms - shared.clock.now_ms())


@pytest.fixture
def exchange(db, sandbox):
    row = Exchange.objects.get(name="sandbox")
    row.rest_url = sandbox.url
    row.save()
    return row


@pytest.fixture
def coinbase(db, sandbox):
    row = Exchange.objects.get(name="coinbase")
    row.rest_url = f"{sandbox.url}/api/v3/brokerage"
    row.batch_delay_ms = 0
    row.save()
    return row


@pytest.fixture
def open_rest(redis):
    """Open an exchange's REST side, closed after the test."""
    opened = []

    def open_rest(row):
        opened.append(ExchangeAdapterFactory(redis).rest(row))
        return opened[-1]

    yield open_rest
    for rest in opened:
        rest.close()
    let_calls_end()  # they would write their hold or ban into the next test's Redis


@pytest.fixture
def rest(exchange, open_rest):
    return open_rest(exchange)


@pytest.fixture
def truth(sandbox):
    """Return the newest closed candles of a pair as the sandbox knows them, as stored rows.

    With `columns` as Binance's protocol tells them.
    """

    def truth(symbol, timeframe, count=100, settle_ms=2000, traded_only=False, columns=False):
        market = sandbox.market
        known = market.closed_rows if columns else market.closed_candles
        end = timeframe.floor(sandbox.clock.now_ms() - settle_ms)
        periods = 10 * count if traded_only else count
        rows = known(symbol, timeframe, end - periods * timeframe.ms, end, traded_only=traded_only)
        return [list(row) for row in rows[-count:]]

    return truth


@pytest.fixture
def all_pairs():
    return [(symbol, timeframe) for timeframe in LONGEST_FIRST for symbol in SYMBOLS]
