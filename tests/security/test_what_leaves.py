"""Secrets are planted in the environment, and every byte that leaves for an exchange is looked at.

A server between us and the sandbox keeps what both protocols send, over REST and WebSocket.
"""

import os
import secrets
import socket
from contextlib import closing
from uuid import uuid4

import pytest
import requests
import websocket
from django.contrib.auth import get_user_model

from exchanges import credentials
from exchanges.accounts import deactivate, save_account
from exchanges.models import Exchange, UserExchange
from exchanges.venues.coinbase import key as key_module
from tests.exchanges.transport.tap import tapped
from tests.security.canaries import Canaries, canary, collecting_logs, private_key
from tests.warmup.runners import hurry, let_calls_end, make_row, running, serve, wait_until
from warmup.harness import ExchangeCheck

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOL = "BTC-USD"
PATHS = {"sandbox": "", "coinbase": "/api/v3/brokerage"}


@pytest.fixture
def planted(monkeypatch, settings):
    """Plant a secret in every variable that one may be in; return them by name."""
    found = Canaries(
        COINBASE_KEY=f"organizations/{uuid4()}/apiKeys/{uuid4()}",
        COINBASE_SECRET=private_key(),
        COINBASE_PHRASE=str(uuid4()),  # it looks as a key does
        COINBASE_WRONG=canary("wrong"),
        BINANCE_KEY=secrets.token_hex(32),
        BINANCE_SECRET=secrets.token_hex(32),
        LIVERMORE_KEY_OLD=str(uuid4()),
        LIVERMORE_SECRET_KEY=str(uuid4()),
        LIVERMORE_METRICS_TOKEN=canary("metrics"),
        PGPASSWORD=str(uuid4()),
    )
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    found["proxy"], found["redis"] = canary("proxy"), canary("redis")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "LIVERMORE_PROXY_A"):
        monkeypatch.setenv(name, f"http://ada:{found['proxy']}@127.0.0.1:1")
    settings.SECRET_KEY = found["LIVERMORE_SECRET_KEY"]
    settings.REDIS_URL = f"redis://:{found['redis']}@127.0.0.1:1/0"
    monkeypatch.setattr(credentials, "_TROUBLES", {})
    monkeypatch.setattr(key_module, "_STATES", {})
    return found


@pytest.fixture
def row(request):
    """Return a maker of the row of an exchange that a tap leads to, and that tap."""

    def row(name):
        sandbox = request.getfixturevalue("sandbox")
        tap = request.getfixturevalue("tap")
        made = make_row(sandbox, name, [SYMBOL])
        place = f"127.0.0.1:{tap.port}"
        made.rest_url, made.ws_url = f"http://{place}{PATHS[name]}", f"ws://{place}"
        made.save()
        return made

    return row


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def tap(sandbox):
    with tapped(int(sandbox.url.rpartition(":")[2])) as tap:
        yield tap


def account(row, name="chosen", **values):
    user, _ = get_user_model().objects.get_or_create(username=f"of-{name}")
    return save_account(UserExchange(user=user, exchange=row, display_name=name, **values))


def names(venue, key="KEY", secret="SECRET"):
    return {"api_key_env": f"{venue}_{key}", "api_secret_env": f"{venue}_{secret}"}


def choose(row, chosen):
    Exchange.objects.filter(pk=row.pk).update(account=chosen)


def inactive(row):
    chosen = account(row, **names("COINBASE"))
    choose(row, chosen)
    UserExchange.objects.update(is_active=False, is_default=False)


def a_secret(row):
    """Let somebody name as a key what another person has as a secret."""
    account(row, "other", passphrase_env="COINBASE_PHRASE")
    choose(row, account(row, **names("COINBASE", "PHRASE")))


CASES = {
    "nobody is chosen": lambda row: account(row, is_default=True, **names("COINBASE")),
    "an inactive one is": inactive,
    "one of another exchange is": lambda row: choose(
        row, account(Exchange.objects.get(name="binance"), **names("COINBASE"))
    ),
    "its key is no key": lambda row: choose(row, account(row, **names("COINBASE", "WRONG"))),
    "its secret is no secret": lambda row: choose(
        row, account(row, **names("COINBASE", secret="WRONG"))
    ),
    "its key is its secret": lambda row: choose(row, account(row, **names("COINBASE", "SECRET"))),
    "its key is another's secret": a_secret,
    "its key is a setting": lambda row: choose(
        row, account(row, api_key_env="LIVERMORE_SECRET_KEY", api_secret_env="COINBASE_SECRET")
    ),
    "its key is of no venue": lambda row: choose(
        row, account(row, api_key_env="LIVERMORE_KEY_OLD", api_secret_env="COINBASE_SECRET")
    ),
    "its key is a password": lambda row: choose(
        row, account(row, api_key_env="PGPASSWORD", api_secret_env="COINBASE_SECRET")
    ),
    "its name has a blank": lambda row: choose(
        row, account(row, api_key_env="COINBASE_KEY ", api_secret_env="COINBASE_SECRET")
    ),
}


def run(redis, row, tap):
    """Let an exchange warm and stream, then be checked; return what left, and what was logged."""
    with collecting_logs() as logs:
        with running(redis, row, [SYMBOL]):
            wait_until(lambda: SYMBOL.replace("-", "") in asked(tap) or SYMBOL in asked(tap))
            wait_until(tap.frames)
        report = ExchangeCheck(redis, row, SYMBOL, seconds=1).run()
        said = f"{logs['raw'].getvalue()}\n{report.as_json()}"
    assert f"127.0.0.1:{tap.port}" in tap.text
    return tap.text, said


def asked(tap):
    return tap.requests.decode("utf-8", "replace").upper()


@pytest.mark.parametrize("case", CASES)
def test_without_a_key_that_may_be_used_nothing_of_the_environment_leaves(
    redis, planted, row, tap, case
):
    exchange = row("coinbase")
    CASES[case](exchange)
    left, said = run(redis, exchange, tap)
    assert planted.sung(left) == []
    assert planted.sung(said) == []
    assert "authorization" not in left.lower()
    assert "/market/products/BTC-USD/candles" in left
    assert '"jwt"' not in left


def test_with_a_key_its_name_leaves_and_nothing_else(redis, planted, row, tap):
    exchange = row("coinbase")
    choose(exchange, account(exchange, passphrase_env="COINBASE_PHRASE", **names("COINBASE")))
    left, said = run(redis, exchange, tap)
    assert set(planted.sung(left)) == {"COINBASE_KEY", "a signed token"}
    assert planted["COINBASE_KEY"] in left  # of a token that was decoded
    assert planted.sung(said) == []
    assert not [frame for frame in tap.frames() if planted.sung(frame)]


@pytest.mark.parametrize("venue", ["BINANCE", "COINBASE"])
def test_binance_is_sent_nothing_whatever_is_chosen(redis, planted, row, tap, venue):
    exchange = row("sandbox")
    choose(exchange, account(exchange, **names(venue)))
    left, said = run(redis, exchange, tap)
    assert planted.sung(left) == []
    assert planted.sung(said) == []
    assert "x-mbx-apikey" not in left.lower()
    assert "signature" not in left.lower()


def test_the_tap_would_see_it(planted, tap):
    value = planted["COINBASE_WRONG"]
    session = requests.Session()
    session.trust_env = False
    session.get(f"http://127.0.0.1:{tap.port}/", headers={"X-Header": value}, timeout=5)
    assert planted.sung(tap.text) == ["COINBASE_WRONG"]
    assert os.environ["COINBASE_WRONG"] == value
    direct = socket.create_connection(("127.0.0.1", tap.port))
    with closing(websocket.create_connection(f"ws://127.0.0.1:{tap.port}/ws", socket=direct)) as ws:
        ws.send(planted["LIVERMORE_METRICS_TOKEN"])
        wait_until(lambda: "LIVERMORE_METRICS_TOKEN" in planted.sung(tap.text))


SIGNED, OPEN = "GET /api/v3/brokerage/products/", "GET /api/v3/brokerage/market/products/"


def test_what_runs_follows_the_choice_and_signs_nothing_more_once_it_ends(
    redis, planted, row, tap, monkeypatch
):
    hurry(monkeypatch)
    exchange = row("coinbase")
    chosen = account(exchange, **names("COINBASE"))
    with running(redis, exchange, [SYMBOL]):
        wait_until(lambda: OPEN in tap.text)
        assert SIGNED not in tap.text
        choose(exchange, chosen)
        wait_until(lambda: SIGNED in tap.text)
        deactivate(chosen)
        used = credentials._IN_USE[exchange.pk]
        wait_until(lambda: used.key is None)
        let_calls_end()
        wait_for_open_calls(tap)
        signed = tap.text.count(SIGNED)
        wait_for_open_calls(tap)
        assert tap.text.count(SIGNED) == signed


def wait_for_open_calls(tap):
    before = tap.text.count(OPEN)
    wait_until(lambda: tap.text.count(OPEN) > before + 2)
