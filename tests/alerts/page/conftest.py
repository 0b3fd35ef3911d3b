"""Alerts as they lie in the database, and who looks at them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Alert, AlertProgress
from tests.warmup.network.operators import listed_exchange


@pytest.fixture
def row(db):
    return listed_exchange(display_name="Sandbox")


@pytest.fixture
def looked(db):
    """Let somebody have evaluated just now; return what lets it be so many seconds ago."""

    def looked(seconds=0):
        at = timezone.now() - timedelta(seconds=seconds)
        AlertProgress.objects.update_or_create(pk=1, defaults={"looked_at": at})

    looked()
    return looked


def alert(row=None, what="hole", members=None, *, minutes=12, over=None, **values):
    """Return a row: it began so many minutes ago, and was `over` so many ago."""
    now = timezone.now()
    members = {"BTC-USD 1h": "3 candles missing"} if members is None else members
    values = {"text": "sandbox: something", "told_at": now, "lasting": list(members)} | values
    return Alert.objects.create(
        what=what,
        exchange=row,
        members=members,
        first_seen=now - timedelta(minutes=minutes),
        last_seen=now,
        resolved_at=None if over is None else now - timedelta(minutes=over),
        **values,
    )
