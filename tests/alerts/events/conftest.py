import time

import pytest

from alerts.events.source import Look
from alerts.models import AlertRule
from exchanges.models import Exchange
from tests.warmup.network.operators import listed_exchange


@pytest.fixture
def row(redis, db):
    """Return an exchange that shall run."""
    return listed_exchange(wanted=Exchange.Wanted.RUNNING)


@pytest.fixture
def seen(redis, row):
    """Return a function that looks with a source, and tells by kind what it sees."""
    positions = {}

    def look(source, now_ms=None):
        now_ms = int(1000 * time.time()) if now_ms is None else now_ms
        rules = list(AlertRule.objects.filter(is_active=True).select_related("exchange"))
        exchanges = list(Exchange.objects.filter(pk=row.pk))
        found = {}
        for event in source.look(Look(redis, now_ms, exchanges, rules, positions)):
            found.setdefault(event.kind, []).append(event)
        return found

    return look
