"""What lets nobody in, or is away, is told in Coinbase's form, as its programs take it."""

import pytest
import requests
from django.db import OperationalError

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from serving.directory import Directory
from serving.models import ApiClient
from tests.serving.serving import served
from tests.warmup.runners import SYMBOLS, chosen, make_row

pytestmark = pytest.mark.django_db(transaction=True)

BROKERAGE, TRACK = "coinbase/api/v3/brokerage/time", "coinbase/v2/currencies"


def make(**values):
    client = ApiClient(name="bot", **values)
    token = client.new_token()
    client.save()
    return token


@pytest.fixture
def asking(ccxt):
    """Return what makes a client of Coinbase's that asks below an address."""

    def asking(url):
        found = ccxt.coinbase({"enableRateLimit": False})
        found.urls["api"]["rest"] = f"{url}/coinbase"
        return found

    return asking


def refusals(url, method="GET"):
    """Return the status and what is said of both of its interfaces."""
    found = [requests.request(method, f"{url}/{path}", timeout=10) for path in (BROKERAGE, TRACK)]
    assert found[0].status_code == found[1].status_code
    return found[0].status_code, found[0].json(), found[1].json()


def test_who_brings_no_token_is_told_so(redis, ccxt, asking):
    with served(redis, is_open=False) as url:
        text = "A token is needed: that of an API client in the admin"
        assert refusals(url) == (
            401,
            {"error": "unauthorized", "message": text},
            {"errors": [{"id": "unauthorized", "message": text}]},
        )
        for method in ("v3", "v2"):
            with pytest.raises(ccxt.AuthenticationError):
                asking(url).fetch_time({"method": method})
        with pytest.raises(ccxt.AuthenticationError):
            asking(f"{url}/k/wrong").fetch_time()


def test_who_asks_too_often_is_told_to_ask_less(redis, ccxt, asking):
    token = make(requests_per_second=1)
    listed = SandboxConfig(listings=chosen(SYMBOLS))
    with SandboxServer(listed) as sandbox, served(redis, is_open=False) as url:
        make_row(sandbox, name="coinbase")
        exchange = asking(f"{url}/k/{token}")
        for method in ("v3", "v2"):
            with pytest.raises(ccxt.RateLimitExceeded):
                for _ in range(100):
                    exchange.fetch_time({"method": method})


def test_what_is_away_is_to_be_asked_for_again(redis, ccxt, asking, monkeypatch):
    def fail(directory):
        raise OperationalError("the database is away")

    monkeypatch.setattr(Directory, "load", fail)
    with served(redis) as url:
        status, *said = refusals(url)
        assert status == 503
        assert {frozenset(each) for each in said} == {frozenset(("code", "msg", "message"))}
        for method in ("v3", "v2"):
            with pytest.raises(ccxt.ExchangeNotAvailable):
                asking(url).fetch_time({"method": method})


def test_another_method_is_refused_in_its_form(redis):
    with served(redis) as url:
        text = "Public market data is served here, and there is no other method than GET"
        assert refusals(url, "DELETE") == (
            405,
            {"error": "UNIMPLEMENTED", "message": text},
            {"errors": [{"id": "invalid_request", "message": text}]},
        )
