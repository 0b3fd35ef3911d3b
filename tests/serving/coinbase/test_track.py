"""What lies beside Coinbase's brokerage at its host: passed on, as long as it is public."""

import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
import requests

from exchanges.rest.pacing.host import host_of
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from tests.serving.conftest import say_streamed
from tests.serving.serving import served
from tests.warmup.runners import MIDNIGHT_MS, SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)
RATES = "v2/exchange-rates"


@pytest.fixture(scope="module")
def shared():
    settings = {"listings": chosen(SYMBOLS), "coinbase_rate": 10**6, "start_ms": MIDNIGHT_MS}
    with SandboxServer(SandboxConfig(**settings)) as started:
        yield started


@pytest.fixture
def sandbox(shared):
    shared.reset()
    return shared


@pytest.fixture
def url(redis, sandbox):
    make_row(sandbox, name="coinbase")
    with served(redis) as url:
        yield url


def get(url, path, exchange="coinbase", **options):
    return requests.get(f"{url}/{exchange}/{path}", timeout=30, **options)


def calls(sandbox):
    return sum(sandbox.requests.counts.values())


@pytest.mark.parametrize("path", ["v2/currencies", "v2/currencies/crypto"])
def test_what_there_is_is_the_exchanges_own_word_and_asked_for_once(sandbox, url, path):
    own = requests.get(f"{sandbox.url}/{path}", timeout=10).json()
    before = calls(sandbox)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: get(url, path), range(30)))
    assert [each.json() for each in answers] == [own] * 30
    assert answers[0].headers["X-Livermore-Source"] == "rest"
    assert calls(sandbox) == before + 1


def test_what_it_costs_holds_for_a_second(sandbox, url):
    rates = get(url, RATES).json()["data"]
    assert rates["currency"] == "USD"
    assert rates["rates"]["USD"] == "1"
    of_bitcoin = get(url, RATES, params={"currency": "BTC", "more": "x"}).json()["data"]
    assert float(of_bitcoin["rates"]["USD"]) * float(rates["rates"]["BTC"]) == pytest.approx(1, 0.1)
    price = get(url, "v2/prices/ETH-USD/spot").json()["data"]
    assert (price["base"], price["currency"]) == ("ETH", "USD")
    before = calls(sandbox)
    deadline = time.monotonic() + 10
    while calls(sandbox) == before and time.monotonic() < deadline:
        assert int(get(url, RATES).headers["Age"]) <= 1
    assert calls(sandbox) > before


def test_the_time_is_the_exchanges_even_where_no_runner_has_told_it(sandbox, url):
    track, brokerage = get(url, "v2/time").json(), get(url, "api/v3/brokerage/time").json()
    assert abs(track["data"]["epoch"] - sandbox.clock.now_ms() / 1000) < 20
    assert abs(int(brokerage["epochMillis"]) - sandbox.clock.now_ms()) < 20_000
    assert track["data"]["iso"].startswith("2026-11-19T00:")


def test_where_a_runner_tells_the_time_nobody_is_asked_for_it(redis, sandbox):
    row = make_row(sandbox, name="coinbase")
    say_streamed(redis, row.pk, exchangeTime=MIDNIGHT_MS + 5000)
    before = calls(sandbox)
    with served(redis) as url:
        found = get(url, "v2/time").json()["data"]
    assert 0 <= found["epoch"] - MIDNIGHT_MS // 1000 < 25
    assert calls(sandbox) == before


def test_what_it_refuses_is_refused_in_its_words(sandbox, url):
    unknown = get(url, RATES, params={"currency": "NOPE"})
    said = {"errors": [{"id": "invalid_request", "message": "Invalid currency (NOPE)"}]}
    assert (unknown.status_code, unknown.json()) == (400, said)
    price = get(url, "v2/prices/NOPE-USD/buy")
    assert (price.status_code, price.json()["errors"][0]["id"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("v2/accounts", 404),
        ("v2/user", 404),
        ("v2/users/5f3e", 404),
        ("v2/payment-methods", 404),
        ("v2/", 404),
        ("v2/currencies/", 404),
        ("v2/currencies%0a", 404),
        ("v2/time/../accounts", 404),
        ("v2/%2e%2e/api/v3/brokerage/accounts", 404),
        ("v2//currencies", 404),
        ("v2/prices/BTC-USD%2f..%2fx/spot", 404),
        ("v2/prices/BTC-USD%3fx=1/spot", 404),
        ("v2/" + "x" * 5000, 404),
        (f"{RATES}?currency=%2e%2e%2fx", 400),
        (f"{RATES}?currency=BTC%26x=1", 400),
        ("v2/prices/BTC-USD/spot?date=yesterday", 400),
    ],
)
def test_what_is_not_public_or_malformed_does_not_reach_the_exchange(sandbox, url, path, status):
    before = calls(sandbox)
    asking = HTTPConnection(url.removeprefix("http://"), timeout=30)  # it leaves paths as they are
    asking.request("GET", f"/coinbase/{path}")
    assert asking.getresponse().status == status
    asking.close()
    assert calls(sandbox) == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_changed_through_it(sandbox, url, method):
    before = calls(sandbox)
    assert requests.request(method, f"{url}/coinbase/v2/accounts", timeout=30).status_code == 405
    assert requests.request(method, f"{url}/coinbase/v2/time", timeout=30).status_code == 405
    assert calls(sandbox) == before


@pytest.mark.parametrize(
    "signed",
    [
        {"headers": {"CB-ACCESS-KEY": "k", "CB-ACCESS-SIGN": "ab", "CB-ACCESS-TIMESTAMP": "1"}},
        {"headers": {"Authorization": "Bearer eyJhbGciOi.eyJzdWIi.c2ln"}},
        {"params": {"signature": "ab", "timestamp": "1"}},
    ],
)
@pytest.mark.parametrize("path", [RATES, "api/v3/brokerage/market/products"])
def test_signed_calls_are_refused(sandbox, url, path, signed):
    before = calls(sandbox)
    assert get(url, path, **signed).status_code == 401
    assert calls(sandbox) == before


def test_other_exchanges_have_no_such_paths(sandbox, url):
    make_row(sandbox)
    found = get(url, "v2/time", "sandbox")
    message = "sandbox speaks another protocol"
    assert (found.status_code, found.json()["errors"][0]["message"]) == (404, message)


def test_a_ban_reaches_nobody_but_as_a_503(sandbox, url):
    sandbox.faults.add("status", status=418, retry_after=200)
    for path in (RATES, "api/v3/brokerage/market/products"):
        found = get(url, path)
        assert found.status_code == 503
        assert found.json()["code"] == -1001
        assert 100 < int(found.headers["Retry-After"]) <= 200


def test_it_uses_up_the_limits_that_all_share(redis, sandbox, url):
    redis.delete(keys.pacing(host_of(sandbox.url)))
    get(url, "v2/currencies")
    assert redis.exists(keys.pacing(host_of(sandbox.url)))


def test_an_address_that_does_not_tell_where_the_host_is_left_is_named(redis, sandbox):
    row = make_row(sandbox, name="coinbase")
    row.rest_url = f"{sandbox.url}/elsewhere"
    row.save()
    before = calls(sandbox)
    with served(redis) as url:
        found = get(url, "v2/currencies")
    assert found.status_code == 503
    assert "does not end with /api/v3/brokerage" in found.json()["msg"]
    assert calls(sandbox) == before
