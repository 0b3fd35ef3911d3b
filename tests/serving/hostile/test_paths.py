"""Paths that lead elsewhere, at the exchange or past it: what is passed on is what may be."""

import logging

import pytest
import requests

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from tests.serving.hostile.raw import (
    Asking,
    answers,
    is_one_line,
    request,
    saying,
)
from tests.serving.serving import served
from tests.warmup.runners import SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)

PUBLIC = "/sandbox/api/v3/exchangeInfo"
# Below an exchange; none of them is there for anybody.
PATHS = [
    "/api/v3/account", "/api/v3/order", "/api/v3/openOrders", "/api/v3/myTrades",
    "/api/v3/userDataStream", "/api/v3/order/test", "/sapi/v1/capital/config/getall",
    "/wapi/v3/systemStatus.html", "/fapi/v1/klines", "/api/v1/klines",
    "/api", "/", "", "/sandbox/faults", "/v2/accounts", "/v2/user", "/api/v3/brokerage/accounts",
    "/api/v3/brokerage/orders", "/api/v3/brokerage/market/products/BTC-USD/ticker/x",
    "/api/v3/..", "/api/v3/../v3/exchangeInfo", "/api/v3/./exchangeInfo", "/api/v3//exchangeInfo",
    "/api/v3/exchangeInfo/", "/api/v3/exchangeInfo/..", "/api/v3/%2e%2e/%2e%2e/sandbox/faults",
    "/api/v3/%2E%2E%2F%2E%2E%2Fsandbox%2Ffaults", "/api/v3/exchangeInfo%2f..%2f..%2faccount",
    "/api/v3/exchangeInfo%00", "/api/v3/exchangeInfo%3Fa=1", "/api/v3/exchangeInfo%23",
    "/api/v3/exchangeInfo%252e", "/api/v3/exchangeInfo;a=1", "/api/v3/exchangeInfo;/../account",
    "/api/v3/exchangeinfo", "/API/v3/exchangeInfo", "/api/V3/exchangeInfo",
    "/api/v3/exchangeInfo%20", "/api/v3/exchangeInfo%0d%0aX: y", "/api/v3/\\exchangeInfo",
    "/api\\v3\\exchangeInfo", "/api/v3/exchangeInfo\\..\\account", "/api/v3/@example.org",
    "@example.org/api/v3/exchangeInfo", "/api/v3//example.org/", "/api/v3/http://example.org/",
    "/api/v3/http:%2F%2Fexample.org%2F", "/api/v3/%40example.org", "/api/v3/:80@example.org",
    "/api/v3/ticker", "/api/v3/ticker/", "/api/v3/ticker/24hr/", "/api/v3/ticker/24hr/../price",
    "/api/v3/ticker%2f24hr%00", "/api/v3/exchange\u0130nfo", "/api/v3/klines.json",
    "/v2", "/v2/", "/v2/..", "/v2/../api/v3/account", "/v2/%2e%2e/api/v3/brokerage/accounts",
    "/v2//example.org", "/v2/@example.org", "/v2/accounts;x=currencies", "/v2/time/../accounts",
    "/v2/currencies/..%2faccounts", "/v2/%61ccounts", "/v2/exchange-rates\\..\\accounts",
    "/api/v3/brokerage/market/products/..", "/api/v3/brokerage/market/products/%2e%2e",
    "/api/v3/brokerage/market/products/BTC-USD/../../../accounts",
    "/api/v3/brokerage/market/products/BTC-USD%2f..%2f..%2faccounts",
    "/api/v3/brokerage/market/products/BTC-USD;x", "/api/v3/brokerage/market/products/btc-usd",
    "/api/v3/brokerage/market/products/BTC-USD%00", "/api/v3/brokerage/market/../accounts",
    "/api/v3/brokerage/market/product_book/..", "/api/v3/brokerage//market/products",
    "/api/v3/" + "a" * 5000, "/api/v3/" + "a/" * 2000,
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as started:
        yield started


def test_no_path_leads_elsewhere(redis, sandbox, caplog):
    make_row(sandbox)
    make_row(sandbox, name="coinbase")
    before = sandbox.requests.counts
    wrong = []
    with served(redis) as url:
        asking = Asking(url)
        for path in PATHS:
            for name in ("sandbox", "coinbase"):
                found = asking.ask(f"/{name}{path}")
                text = found.body.decode()
                if found.status not in (400, 401, 404) or (text and not is_one_line(text)):
                    wrong.append((name, path[:60], found))
    assert wrong == []
    assert sandbox.requests.counts == before
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    "target",
    [
        "http://example.org/sandbox/api/v3/ping", "HTTP://127.0.0.1:1/sandbox/api/v3/ping",
        "http://user:secret@example.org:80/sandbox/api/v3/ping", "/sandbox/api/v3/ping#/account",
        "ftp://example.org/sandbox/api/v3/ping",
    ],
)  # fmt: skip
def test_the_host_of_an_address_is_this_server_whatever_it_is_called(redis, sandbox, target):
    make_row(sandbox)
    with served(redis) as url:
        (found,) = answers(url, request(target))
    assert (found.status, found.body) in ((200, b"{}"), (400, found.body))
    assert b"example.org" not in found.body


def test_signed_calls_are_refused_wherever_the_proof_is(redis, sandbox):
    make_row(sandbox)
    before = sandbox.requests.counts
    with served(redis) as url:
        for query in ("signature=ab", "%73ignature=ab", "signature=", "symbol=BTCUSD&signature=ab"):
            (found,) = answers(url, request(f"{PUBLIC}?{query}"))
            assert (found.status, found.body[:15]) == (401, b'{"code":-2015,"')
    assert sandbox.requests.counts == before


def test_nothing_of_what_a_client_sends_reaches_the_exchange_but_its_parameters(redis, sandbox):
    row = make_row(sandbox)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    sent = [
        b"X-MBX-APIKEY: a-key-of-a-client", b"Authorization: Bearer a-token-of-a-client",
        b"Cookie: session=a-cookie-of-a-client", b"X-Forwarded-For: 1.2.3.4",
        b"User-Agent: a-bot", b"Referer: http://a-page",
    ]  # fmt: skip
    with saying(answer) as (place, heads):
        row.rest_url = place
        row.save()
        with served(redis) as url:
            found = answers(url, request(PUBLIC, *(sent[:1] + sent[2:])))
    assert found[0].status == 200, found
    (head,) = heads
    for each in sent:
        assert each.partition(b": ")[2] not in head
    assert b"signature" not in head


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_exchange_that_leads_elsewhere_is_not_followed(redis, sandbox, status):
    row = make_row(sandbox)
    before = sandbox.requests.counts
    to = f"{sandbox.url}/api/v3/exchangeInfo".encode()
    head = b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n" % (status, to)
    with saying(head + b"Connection: close\r\n\r\n") as (place, _):
        row.rest_url = place
        row.save()
        with served(redis) as url:
            found = requests.get(url + PUBLIC, timeout=30)
    assert found.status_code == 503
    assert is_one_line(found.text)
    assert sandbox.requests.counts == before
