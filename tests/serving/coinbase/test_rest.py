"""Coinbase's protocol over its row, beside what the sandbox answers to the same request."""

import time

import pytest
import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market.timeframe import Timeframe
from tests.serving.serving import served
from tests.warmup.runners import COINBASE_PATH, SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)
H1 = Timeframe.H1
PRODUCTS = "market/products"
CANDLES = f"{PRODUCTS}/BTC-USD/candles"
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


def ids(answer):
    return [each["product_id"] for each in answer["products"]]


@pytest.mark.parametrize(
    ("path", "params", "found"),
    [
        (PRODUCTS, {}, SYMBOLS),
        (PRODUCTS, {"limit": 2}, SYMBOLS[:2]),
        (PRODUCTS, {"limit": 1, "offset": 1}, SYMBOLS[1:2]),
        (PRODUCTS, {"offset": 2}, SYMBOLS[2:]),
        (PRODUCTS, {"product_type": "SPOT", "more": "x"}, SYMBOLS),
        (PRODUCTS, {"product_type": "FUTURE"}, []),
        (PRODUCTS, {"product_ids": "ETH-USD"}, ["ETH-USD"]),
        (PRODUCTS, {"product_ids": ["ETH-USD", "BTC-USD", "ETH-USD"]}, ["BTC-USD", "ETH-USD"]),
        (PRODUCTS, {"product_ids": "NO-PE"}, []),
        (PRODUCTS, {"get_all_products": "True", "limit": 3}, SYMBOLS),
    ],
)
def test_products_are_those_of_the_exchange_filtered_as_it_does(sandbox, ask, path, params, found):
    answer = ask(path, **params)
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == ids(own(sandbox, path, **params)) == found
    assert answer.json()["num_products"] == len(found)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (f"{PRODUCTS}/BTC-USD", {"get_tradability_status": "true"}),
        (f"{PRODUCTS}/BTC-USD/ticker", {"limit": 1}),
        ("market/product_book", {"product_id": "BTC-USD", "limit": 2}),
    ],
)
def test_what_else_it_tells_of_one_is_its_own_word(sandbox, ask, path, params):
    found = ask(path, **params)
    assert found.status_code == 200, found.text
    assert found.json().keys() == own(sandbox, path, **params).keys()
    assert found.headers["X-Livermore-Source"] == "rest"


def test_prices_of_products_are_no_older_than_the_exchange_lets_its_own_be(sandbox, ask):
    ask(f"{PRODUCTS}/BTC-USD")
    before, deadline = sandbox.requests.counts["coinbase.product"], time.monotonic() + 10
    while sandbox.requests.counts["coinbase.product"] == before:
        assert int(ask(f"{PRODUCTS}/BTC-USD").headers["Age"]) <= 1
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("start", "end", "limit", "hours"),
    [
        (0, 0, None, [0]),  # both ends are included
        (0, 3600, None, [1, 0]),
        (1, 7199, None, [1]),
        (1, 3599, None, []),
        (0, 349 * 3600, None, list(range(349, -1, -1))),
        (0, 349 * 3600 + 3599, None, list(range(349, -1, -1))),
        (-3599, 349 * 3600, None, list(range(349, -1, -1))),
        (0, 7200, 2, [2, 1]),  # the newest
        (0, 7200, 0, [2, 1, 0]),  # as if it was not sent
        (0, 7200, 350, [2, 1, 0]),
    ],
)
def test_a_window_has_the_candles_that_open_in_it(sandbox, ask, start, end, limit, hours):
    first = H1.floor(sandbox.clock.now_ms()) // 1000 - 400 * 3600
    params = HOURS | {"start": first + start, "end": first + end}
    params |= {} if limit is None else {"limit": limit}
    found = ask(CANDLES, **params)
    assert found.status_code == 200, found.text
    assert [int(row["start"]) for row in found.json()["candles"]] == [
        first + hour * 3600 for hour in hours
    ]
    assert numbers(found.json()) == numbers(own(sandbox, CANDLES, **params))


def test_a_window_that_lies_ahead_is_empty(sandbox, ask):
    ahead = sandbox.clock.now_ms() // 1000 + 10 * 86400
    found = ask(CANDLES, **HOURS, start=ahead, end=ahead + 7200)
    assert (found.status_code, found.json()) == (200, {"candles": []})


WRONG = [
    (CANDLES, {}, 400, "granularity is not supported"),
    (CANDLES, HOURS, 400, "start is required and must be a whole number"),
    (CANDLES, HOURS | {"start": 9, "end": 7}, 400, "start must not be after end"),
    (CANDLES, HOURS | {"start": 0, "end": 3600 * 400}, 400, "number of candles requested"),
    (CANDLES, HOURS | {"start": 0, "end": 0, "limit": 351}, 400, "number of candles requested"),
    (CANDLES, HOURS | {"start": 0, "end": 3600 * 350}, 400, "number of candles requested"),
    (CANDLES, HOURS | {"start": 1}, 400, "end is required and must be a whole number"),
    (CANDLES, HOURS | {"start": "yesterday", "end": 7}, 400, "start is required and must be"),
    (CANDLES, HOURS | {"start": 1, "end": "7.5"}, 400, "end is required and must be"),
    (CANDLES, HOURS | {"start": -1, "end": 7}, 400, "start is required and must be"),
    (CANDLES, HOURS | {"start": 0, "end": 10**11}, 400, "end is required and must be"),
    (CANDLES, HOURS | {"start": 0, "end": 0, "limit": "x"}, 400, "limit is required and must"),
    (CANDLES, {"granularity": "1h", "start": 0, "end": 0}, 400, "granularity is not supported"),
    (CANDLES, {"granularity": "FIVE_MINUTES", "start": 0, "end": 0}, 400, "granularity is not"),
    (CANDLES, {"granularity": "UNKNOWN_GRANULARITY"}, 400, "granularity is not supported"),
    (PRODUCTS, {"limit": "x"}, 400, "limit argument is invalid"),
    (PRODUCTS, {"limit": -1}, 400, "limit argument is invalid"),
    (PRODUCTS, {"offset": "1.5"}, 400, "offset argument is invalid"),
    (PRODUCTS, {"product_type": "spot&x=1"}, 400, "product_type argument is invalid"),
    (PRODUCTS, {"product_ids": ["BTC-USD", "../x"]}, 400, "product_ids argument is invalid"),
    (PRODUCTS, {"get_all_products": "maybe"}, 400, "get_all_products argument is invalid"),
    (f"{PRODUCTS}/NO-PE", {}, 404, "Product NO-PE not supported"),
    (f"{PRODUCTS}/NO-PE/ticker", {"limit": 1}, 404, "Product NO-PE not supported"),
    (f"{PRODUCTS}/BTC-USD/ticker", {"limit": "many"}, 400, "limit argument is invalid"),
    (f"{PRODUCTS}/BTC-USD/ticker", {"limit": 1001}, 400, "limit argument is invalid"),
    ("market/product_book", {"product_id": "NO-PE"}, 404, "Product NO-PE not supported"),
    ("market/product_book", {}, 404, "Product  not supported"),
    ("products", {}, 404, "Public market data is served here"),
    ("market/products/NO-PE/candles", HOURS, 404, "Product NO-PE not supported"),
    ("accounts", {}, 404, "Public market data is served here"),
    ("orders/historical/batch", {}, 404, "Public market data is served here"),
]


def test_what_is_wrong_is_refused_in_its_form(sandbox, ask):
    before = sum(sandbox.requests.counts.values())
    for path, params, status, why in WRONG:
        found = ask(path, **params)
        assert found.status_code == status, (path, params)
        assert found.json()["error"] == {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}[status]
        assert sum(sandbox.requests.counts.values()) == before, (path, params)
        assert found.json()["message"].startswith(why), (path, params)


def test_the_time_is_the_exchanges_and_no_other_row_speaks_so(sandbox, ask):
    told = ask("time").json()
    assert abs(int(told["epochMillis"]) - sandbox.clock.now_ms()) < 20_000
    assert told.keys() == own(sandbox, "time").keys()
    other = ask("time", exchange="sandbox")
    assert (other.status_code, other.json()["message"]) == (404, "sandbox speaks another protocol")
