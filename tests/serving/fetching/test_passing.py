"""What only the exchange can answer is asked of it, once for all; what it refuses is refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.candle import Ticker
from tests.serving.conftest import say_streamed
from tests.serving.serving import served
from tests.warmup.runners import SYMBOLS, chosen, make_row, wait_until
from warmup.cache.tickers import TickerCache

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as started:
        yield started


def get(url, path, exchange="sandbox", **params):
    return requests.get(f"{url}/{exchange}/api/v3/{path}", params=params, timeout=30)


def test_the_exchanges_own_listing_is_given_as_it_is(redis, sandbox):
    make_row(sandbox)
    own = requests.get(f"{sandbox.url}/api/v3/exchangeInfo", timeout=5).json()
    with served(redis) as url:
        found = get(url, "exchangeInfo")
        assert found.json() | {"serverTime": 0} == own | {"serverTime": 0}
        calls = sandbox.requests.counts["binance.exchangeInfo"]
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: get(url, "exchangeInfo"), range(30)))
    assert sandbox.requests.counts["binance.exchangeInfo"] == calls


def test_what_the_exchange_refuses_is_refused_in_its_words(redis, sandbox):
    make_row(sandbox)
    with served(redis) as url:
        found = get(url, "exchangeInfo", symbol="NOPE")
    assert (found.status_code, found.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})


def test_an_exchange_of_another_protocol_tells_what_is_known_of_its_symbols(redis, sandbox):
    make_row(sandbox, name="coinbase")
    with served(redis) as url:
        symbols = get(url, "exchangeInfo", "coinbase").json()["symbols"]
        depth = get(url, "depth", "coinbase", symbol="BTCUSD")
    assert [each["symbol"] for each in symbols] == sorted(each.replace("-", "") for each in SYMBOLS)
    assert {each["status"] for each in symbols} == {"TRADING"}
    assert depth.status_code == 400
    assert "speaks another protocol" in depth.json()["msg"]


def test_a_ban_reaches_nobody_but_as_a_503(redis, sandbox):
    make_row(sandbox)
    sandbox.faults.add("status", status=418, retry_after=200)
    with served(redis) as url:
        found = get(url, "exchangeInfo")
    assert found.status_code == 503
    assert 100 < int(found.headers["Retry-After"]) <= 200


def test_paths_that_are_none_of_the_public_ones_do_not_reach_the_exchange(redis, sandbox):
    make_row(sandbox)
    before = sum(sandbox.requests.counts.values())
    with served(redis) as url:
        for path in ("order", "account", "userDataStream"):
            refused = get(url, path)
            assert (refused.status_code, refused.json()["code"]) == (401, -2015)
        for path in ("exchangie", "klines/%2e%2e/%2e%2e/sandbox/faults"):
            assert get(url, path).status_code in (400, 404)
    assert sum(sandbox.requests.counts.values()) == before


def test_tickers_come_from_the_stream_where_it_has_told_them(redis, sandbox):
    row = make_row(sandbox, name="coinbase")
    told = Ticker("BTC-USD", 100.5, 2.5, 2.55, 110.0, 90.0, 7.0, sandbox.clock.now_ms())
    TickerCache(redis, row.pk).write_many([told])
    say_streamed(redis, row.pk)
    with served(redis) as url:
        price = get(url, "ticker/price", "coinbase", symbol="BTCUSD")
        day = get(url, "ticker/24hr", "coinbase", symbol="BTCUSD").json()
        unknown = get(url, "ticker/24hr", "coinbase", symbol="ETHUSD")
        wrong = get(url, "ticker/price", "coinbase", symbol="NOPE")
    assert price.json() == {"symbol": "BTCUSD", "price": "100.50000000"}
    assert (day["openPrice"], day["priceChangePercent"]) == ("98.00000000", "2.550")
    assert day["bidPrice"] is None
    assert 0 <= int(price.headers["Age"]) < 60
    assert unknown.status_code == 503
    assert wrong.status_code == 400


def test_what_weighs_much_is_asked_once_in_a_while_for_all_who_ask_wherever(
    redis, sandbox, monkeypatch
):
    monkeypatch.setattr("serving.binance.rest.WEIGHT_A_SECOND", 1)
    make_row(sandbox)
    with served(redis) as url, served(redis) as another_url:
        own = get(url, "ticker/24hr").json()
        assert len(own) == len(SYMBOLS)
        held = sandbox.requests.counts["binance.ticker24hr"]

        def told(params):
            answers = [get(each, "ticker/24hr", **params) for each in (url, another_url)]
            assert all(each.json() == own for each in answers)
            return min(int(each.headers["Age"]) for each in answers)

        wait_until(lambda: told({}) >= 2)
        assert told({"type": "FULL"}) >= 2
        assert sandbox.requests.counts["binance.ticker24hr"] == held
        one = get(url, "ticker/24hr", symbol="BTCUSD")
        wait_until(lambda: get(url, "ticker/24hr", symbol="BTCUSD").json() != one.json())
