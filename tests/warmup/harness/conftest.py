"""A check against a sandbox whose minutes take a quarter of a second, with shorter timeouts."""

import pytest
from django.apps import apps

from exchanges.rest import client as rest_client
from exchanges.sandbox.symbols import DEFAULT
from exchanges.stream import connection
from exchanges.transport import backoff
from exchanges.venues import VENUES
from livermore.market import keys
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve
from warmup.harness import ExchangeCheck, check, facts
from warmup.harness.steps import network, subscription

HALF_A_DAY_MS = 43_200_000
WELL = {  # with addresses that are plain, and without an account
    "row": "PASS", "environment": "SKIP", "dns": "PASS", "tls": "SKIP", "clock": "PASS",
    "symbol": "PASS", "warmup": "PASS", "subscription": "PASS", "keys": "PASS", "lock": "PASS",
    "limits": "PASS",
}  # fmt: skip


@pytest.fixture(scope="module")
def shared():
    """Serve a market that always trades, at noon."""
    with serve(start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, listings=DEFAULT, speed=240) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    shared.reset()
    yield shared
    shared.reset()


@pytest.fixture
def short_timeouts(monkeypatch):
    """Let what takes seconds take less, and let a clock that runs much faster pass."""
    for module, name, value in (
        (check, "LEAST_SECONDS", 0.1),
        (facts, "ANSWER_SECONDS", 5.0),
        (network, "LONGEST_SKEW_MS", 10**15),
        (network, "CONNECT_SECONDS", 2.0),
        (subscription, "LONGEST_LAG_MS", 10**15),
        (connection, "LOOK_SECONDS", 0.05),
        (backoff, "FIRST_RETRY_SECONDS", 0.01),
        (rest_client, "PAUSE_SECONDS", 0.05),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def row(db, redis, sandbox):
    return row_of(sandbox, "sandbox")


@pytest.fixture
def coinbase(db, redis, sandbox):
    return row_of(sandbox, "coinbase")


def row_of(sandbox, name):
    calls = VENUES[name].calls if name in VENUES else None
    pace = {"batch_size": calls.batch_size, "batch_delay_ms": calls.batch_delay_ms} if calls else {}
    return make_row(sandbox, name, is_active=True, **pace)


@pytest.fixture
def checked(redis, short_timeouts):
    """Check a row; return the report."""

    def checked(row, symbol=None, seconds=0.1, **options):
        return ExchangeCheck(redis, row, symbol, seconds).run(**options)

    return checked


def results(report):
    return {step.name: str(step.result) for step in report.steps}


def failures(report):
    return [step.name for step in report.steps if step.result == "FAIL"]


def step_of(report, name):
    return next(step for step in report.steps if step.name == name)


def move(row, **values):
    """Change a row as somebody does who edits it."""
    type(row).objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


def everything(redis, row, symbol="BTC-USD"):
    """Return all there is in Redis and the database, but what a check may leave."""
    may_stay = {
        keys.candles(row.pk, symbol, "1d"),
        keys.coverage(row.pk, symbol, "1d"),
        keys.epoch(row.pk),
    }
    stored = {
        name: (redis.dump(name), redis.pexpiretime(name))
        for name in map(bytes.decode, redis.keys())
        if name not in may_stay and not name.startswith("pacing:")
    }
    return stored, [list(model.objects.order_by("pk").values()) for model in apps.get_models()]
