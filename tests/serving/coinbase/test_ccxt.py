"""ccxt against Coinbase's row, with its address changed and nothing else."""

import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.timeframe import Timeframe
from tests.serving.serving import served
from tests.warmup.runners import SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS), coinbase_rate=10**6)) as started:
        yield started


@pytest.fixture
def exchange(redis, sandbox, ccxt):
    make_row(sandbox, name="coinbase")
    with served(redis) as url:
        found = ccxt.coinbase({"enableRateLimit": False})
        found.urls["api"]["rest"] = f"{url}/coinbase"
        yield found
        found.session.close()


def test_markets_currencies_candles_tickers_and_the_time_are_read_unchanged(sandbox, exchange):
    markets = exchange.load_markets()
    assert {each.replace("-", "/") for each in SYMBOLS} <= markets.keys()
    assert exchange.currencies["BTC"]["type"] == "crypto"
    assert exchange.currencies["USD"]["type"] == "fiat"
    candles = exchange.fetch_ohlcv("BTC/USD", "1h", limit=5)
    first_ms = candles[0][0]
    closed = [row for row in candles if row[0] + Timeframe.H1.ms <= sandbox.clock.now_ms()]
    end_ms = closed[-1][0] + Timeframe.H1.ms
    rows = sandbox.market.closed_rows("BTC-USD", Timeframe.H1, first_ms, end_ms)
    assert closed == [row[:6] for row in rows]
    assert exchange.fetch_ohlcv("BTC/USD", "6h", limit=3)
    assert exchange.fetch_ticker("BTC/USD")["last"] > 0
    chosen_ones = exchange.fetch_tickers(["BTC/USD", "ETH/USD"])
    assert chosen_ones.keys() == {"BTC/USD", "ETH/USD"}
    assert exchange.fetch_tickers().keys() == markets.keys()
    assert exchange.fetch_order_book("BTC/USD")["bids"]
    assert abs(exchange.fetch_time() - sandbox.clock.now_ms()) < 20_000
    assert abs(exchange.fetch_time({"method": "v3"}) - sandbox.clock.now_ms()) < 20_000


def test_what_is_not_known_now_is_to_be_asked_for_again(sandbox, exchange, ccxt):
    exchange.load_markets()
    sandbox.faults.add("status", status=418, retry_after=200)
    with pytest.raises(ccxt.ExchangeNotAvailable):
        exchange.fetch_ohlcv("ETH/USD", "15m", limit=5)
    with pytest.raises(ccxt.ExchangeNotAvailable):
        exchange.fetch_ticker("ETH/USD")


def test_what_is_wrong_is_not_to_be_asked_for_again(exchange, ccxt):
    exchange.load_markets()
    with pytest.raises(ccxt.BadRequest):
        exchange.fetch_ohlcv("BTC/USD", "3m", limit=5)
    exchange.apiKey, exchange.secret = "key", "secret"
    with pytest.raises(ccxt.AuthenticationError):
        exchange.fetch_balance()


def test_its_candles_are_there_for_who_speaks_binances_protocol_too(redis, sandbox, ccxt):
    make_row(sandbox, name="coinbase")
    with served(redis) as url:
        found = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}}})
        found.urls["api"]["public"] = f"{url}/coinbase/api/v3"
        found.has["fetchCurrencies"] = False
        candles = found.fetch_ohlcv("BTC/USD", "1h", limit=5)
        found.session.close()
    assert len(candles) == 5


def test_streams_of_its_own_library_have_no_candles(ccxt):
    assert ccxt.pro.coinbase().has["watchOHLCV"] is False
