"""An exchange whose account names planted secrets, and a look wherever something is kept."""

import os
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from exchanges.accounts import save_account
from exchanges.models import Exchange, UserExchange
from tests.security import careless_views
from tests.security.canaries import (
    KEY,
    PASSPHRASE,
    REDIS_USER,
    SECRET,
    Canaries,
    canary,
    collecting_logs,
    database_text,
    environment,
    postgres,
    private_key,
    redis_text,
)
from tests.warmup.runners import make_row, serve


@pytest.fixture
def canaries(monkeypatch, settings, redis):
    """Plant a secret in every place that has one; Redis and the admin work with theirs."""
    planted = Canaries(
        key=f"organizations/{uuid4()}/apiKeys/{uuid4()}",
        secret=private_key(),
        no_key=canary("no-key"),
        passphrase=canary("passphrase"),
        secret_key=canary("of-sessions"),
        token=canary("metrics"),
        proxy=canary("proxy"),
        channel=canary("channel"),
        dead_man=canary("dead-man"),
        redis=canary("redis"),
        database=canary("database"),
    )
    monkeypatch.setenv(KEY, planted["key"])
    monkeypatch.setenv(SECRET, planted["secret"])
    monkeypatch.setenv(PASSPHRASE, planted["passphrase"])
    for name, value in environment(planted).items():
        monkeypatch.setenv(name, value)
    settings.SECRET_KEY = planted["secret_key"]
    settings.LIVERMORE_METRICS_TOKEN = planted["token"]
    settings.LIVERMORE_DEAD_MAN_URL = os.environ["LIVERMORE_DEAD_MAN_URL"]
    settings.DATABASE_URL = postgres(planted)
    settings.REDIS_URL = os.environ["REDIS_URL"]
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_URL}}
    redis.acl_setuser(
        REDIS_USER, enabled=True, passwords=[f"+{planted['redis']}"],
        keys=["*"], channels=["*"], categories=["+@all"],
    )  # fmt: skip
    yield planted
    redis.acl_deluser(REDIS_USER)


@pytest.fixture
def short_timeouts(monkeypatch):
    """Let no call be tried again."""
    monkeypatch.setattr("exchanges.rest.client.ATTEMPTS", 1)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(canaries, sandbox):
    """Return Coinbase's row at the sandbox, with an account that names the planted variables."""
    exchange, _ = Exchange.objects.get_or_create(name="coinbase", defaults={"venue": "coinbase"})
    account = save_account(
        UserExchange(
            user=get_user_model().objects.create_superuser("admin", password="of the admin"),
            exchange=exchange,
            display_name="main",
            api_key_env=KEY,
            api_secret_env=SECRET,
            passphrase_env=PASSPHRASE,
        )
    )
    Exchange.objects.filter(pk=exchange.pk).update(account=account)
    return make_row(sandbox, "coinbase", ["BTC-USD"])


@pytest.fixture
def logs():
    """Collect all that is logged, down to DEBUG, in three forms: raw, text and json."""
    with collecting_logs() as streams:
        yield streams


@pytest.fixture
def everywhere(redis, logs, canaries):
    """Return which canaries were found in which place: nothing, where all is well."""

    def everywhere(**more):
        places = {"redis": redis_text(redis), "database": database_text()}
        places |= {f"log, {name}": stream.getvalue() for name, stream in logs.items()} | more
        assert all(places.values()), [name for name, text in places.items() if not text]
        return {name: found for name, text in places.items() if (found := canaries.sung(text))}

    return everywhere


@pytest.fixture
def browser(row, settings):
    settings.ROOT_URLCONF = careless_views.__name__
    browser = Client(raise_request_exception=False)
    browser.force_login(get_user_model().objects.get(username="admin"))
    return browser
