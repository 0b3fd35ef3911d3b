"""Coinbase's protocol over its row, beside what the sandbox answers to the same request."""

import pytest
import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.timeframe import Timeframe
from tests.serving.serving import served
from tests.warmup.runners import COINBASE_PATH, SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)
H1 = Timeframe.H1
CANDLES = "market/products/BTC-USD/candles"
HOURS = {"granularity": "ONE_HOUR"}


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS), coinbase_rate=10**6)) as started:
        yield started


@pytest.fixture
def ask(redis, sandbox):
    make_row(sandbox, name="coinbase")
    with served(redis) as url:
        yield lambda path, exchange="coinbase", **params: requests.get(
            f"{url}/{exchange}{COINBASE_PATH}/{path}", params=params, timeout=30
        )


def own(sandbox, path, **params):
    return requests.get(f"{sandbox.url}{COINBASE_PATH}/{path}", params=params, timeout=10).json()


def numbers(answer):
    return [{name: float(text) for name, text in row.items()} for row in answer["candles"]]


@pytest.mark.parametrize("last", [2, 30, 1500])
@pytest.mark.parametrize("limit", [{}, {"limit": 3}])
def test_candles_are_those_of_the_exchange_newest_first(sandbox, ask, last, limit):
    end = H1.floor(sandbox.clock.now_ms()) // 1000 - last * 3600
    params = HOURS | {"start": end - 19 * 3600 - 5, "end": end + 5} | limit
    found = ask(CANDLES, **params)
    assert found.status_code == 200, found.text
    assert numbers(found.json()) == numbers(own(sandbox, CANDLES, **params))
    assert len(found.json()["candles"]) == limit.get("limit", 20)
    assert found.headers["X-Livermore-Complete"] == "1"


def test_the_open_candle_is_the_first(sandbox, ask):
    open_seconds = H1.floor(sandbox.clock.now_ms()) // 1000
    params = HOURS | {"start": open_seconds - 3600, "end": open_seconds + 60}
    starts = [int(row["start"]) for row in ask(CANDLES, **params).json()["candles"]]
    assert starts == [open_seconds, open_seconds - 3600]


@pytest.mark.parametrize("path", ["market/products", "market/products/BTC-USD"])
def test_products_are_the_exchanges_own_word(sandbox, ask, path):
    assert ask(path).json().keys() == own(sandbox, path).keys()


@pytest.mark.parametrize(
    ("path", "params", "status", "why"),
    [
        (CANDLES, {}, 400, "granularity is not supported"),
        (CANDLES, HOURS, 400, "start is required and must be a whole number"),
        (CANDLES, HOURS | {"start": 9, "end": 7}, 400, "start must not be after end"),
        (CANDLES, HOURS | {"start": 0, "end": 3600 * 400}, 400, "number of candles requested"),
        (CANDLES, HOURS | {"start": 0, "end": 0, "limit": 351}, 400, "number of candles requested"),
        ("market/products/NO-PE/candles", HOURS, 404, "Product NO-PE not supported"),
        ("accounts", {}, 404, "Public market data is served here"),
        ("orders/historical/batch", {}, 404, "Public market data is served here"),
    ],
)
def test_what_is_wrong_is_refused_in_its_form(ask, path, params, status, why):
    found = ask(path, **params)
    assert found.status_code == status
    assert found.json()["message"].startswith(why)


def test_the_time_is_the_exchanges_and_no_other_row_speaks_so(sandbox, ask):
    told = ask("time").json()
    assert abs(int(told["epochMillis"]) - sandbox.clock.now_ms()) < 20_000
    assert told.keys() == own(sandbox, "time").keys()
    other = ask("time", exchange="sandbox")
    assert (other.status_code, other.json()["message"]) == (404, "sandbox speaks another protocol")
