"""An exchange, somebody who may see it, and a feed that looks often."""

import pytest

from exchanges.models import Exchange
from tests.warmup.network.operators import listed_exchange, person
from tests.warmup.network.sockets import log_in
from warmup.network.socket import feed


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.1)


@pytest.fixture
def exchange(db, redis):
    Exchange.objects.exclude(name="sandbox").update(is_active=False)
    return listed_exchange()


@pytest.fixture
def session(exchange):
    return log_in(person("ada", "view_exchange"))
