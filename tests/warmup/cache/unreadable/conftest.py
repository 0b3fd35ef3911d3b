"""An exchange that is warm, and all that only looks at it over HTTP."""

from unittest.mock import patch

import orjson
import pytest
from django.urls import reverse

from exchanges.models import Exchange
from exchanges.redis.unreadable import OnceAnHour
from exchanges.symbols.fetch_listing import fetch_listing
from tests.warmup.cache.unreadable.written import PAIR
from tests.warmup.network.operators import person
from tests.warmup.network.sockets import log_in
from tests.warmup.runners import SYMBOLS, backfill_without_pauses
from warmup.network.page import snapshot
from warmup.network.page.runner_state import RunnerState
from warmup.network.page.snapshot import read_network, read_pair
from warmup.service import SmartWarmupService

TOKEN = "a-token-of-thirty-two-characters"


@pytest.fixture(autouse=True)
def in_a_transaction(monkeypatch, settings):
    monkeypatch.setattr("warmup.runner.agent.close_old_connections", lambda: None)
    settings.LIVERMORE_METRICS_TOKEN = TOKEN


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    backfill_without_pauses(monkeypatch)


@pytest.fixture
def row(redis, exchange):
    Exchange.objects.exclude(pk=exchange.pk).update(is_active=False)
    fetch_listing(exchange)
    exchange.symbols.update(is_monitored=False)
    exchange.symbols.filter(symbol__in=SYMBOLS).update(is_monitored=True)
    return exchange


@pytest.fixture
def warm(redis, row, rest):
    SmartWarmupService(redis, row.pk, rest).warmup(SYMBOLS)
    return row


@pytest.fixture
def session(db):
    return log_in(person("bob", "operate_exchange"))


class Looks:
    """Everything that only looks, over HTTP; what nobody may answer is an assertion."""

    def __init__(self, client, redis, row):
        self._client, self._redis, self._row = client, redis, row
        self._user = person("ada", "operate_exchange")
        client.force_login(self._user)
        self._rows = snapshot.read_rows()
        self._accounts = snapshot.read_accounts(self._user)

    def look(self):
        for name, arguments, headers in (
            ("page", (), {}),
            ("pair", (self._row.pk, *PAIR), {}),
            ("pair", (self._row.pk, *PAIR), {"Accept": "application/json"}),
            ("pair", (self._row.pk, "ETH-USD", "1h"), {"Accept": "application/json"}),
            ("symbols", (self._row.pk,), {}),
        ):
            answer = self._client.get(reverse(f"network:{name}", args=arguments), headers=headers)
            allowed = (200, 503) if PAIR.symbol in arguments else (200,)
            assert answer.status_code in allowed, answer.content[:300]
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        answer = self._client.get("/metrics", headers=bearer)
        assert (answer.status_code, b"livermore_redis_up 1.0" in answer.content) == (200, True)
        assert self._client.get("/health/").status_code == 200
        orjson.dumps(read_network(self._redis, self._user))

    def summarize(self):
        """Do what all of them do, without the way there: the database is read once for all."""
        now_ms = self._redis.time()[0] * 1000
        with (
            patch.object(snapshot, "read_rows", lambda: self._rows),
            patch.object(snapshot, "read_accounts", lambda user: self._accounts),
        ):
            orjson.dumps(read_network(self._redis, self._user))
        orjson.dumps(read_pair(self._redis, self._row.pk, *PAIR, now_ms).as_json())
        RunnerState.read(self._redis, self._row)

    def act(self):
        for action, form in (
            ("connect", {}),
            ("connect", {"holder": "i", "confirm": self._row.name, "reason": "r"}),
            ("stop", {}),
            ("warmup", {}),
            ("repair", {"symbol": "BTC-USD", "timeframe": "1h"}),
            ("add-symbols", {"symbols": "XRP-USD"}),
            ("remove-symbols", {"symbols": "XRP-USD"}),
        ):
            where = reverse(f"network:{action}", args=[self._row.pk])
            answer = self._client.post(where, form, headers={"Accept": "application/json"})
            assert answer.status_code in (200, 400, 409, 503), (action, answer.content[:300])
            assert answer.json()["text"], action


@pytest.fixture
def looks(client, redis, warm):
    return Looks(client, redis, warm)


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch):
    """Let each test be told what another one was told lately."""
    monkeypatch.setattr("exchanges.redis.unreadable._news", OnceAnHour())
