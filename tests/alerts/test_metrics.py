"""What Prometheus is told of alerts."""

import pytest
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from alerts.metrics import AlertCollector
from alerts.models import Alert, AlertProgress, Delivery

pytestmark = pytest.mark.django_db


def lines():
    registry = CollectorRegistry()
    registry.register(AlertCollector())
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_what_is_open_and_what_came_of_messages(channel):
    assert lines() == []
    now = timezone.now()
    for state in ("waiting", "sending", "delivered", "failed"):
        alert = Alert.objects.create(what="ban", text="a", first_seen=now, last_seen=now)
        times = {"next_try_at": now, "created_at": now, "changed_at": now}
        Delivery.objects.create(alert=alert, channel=channel, text="a", state=state, **times)
    Alert.objects.filter(pk=alert.pk).update(resolved_at=now)
    AlertProgress.objects.create(pk=1, looked_at=now)
    found = dict(line.rsplit(" ", 1) for line in lines())
    assert 0 <= float(found.pop("livermore_alerts_look_age_seconds")) < 5
    assert found == {
        'livermore_alerts_open{what="ban"}': "3.0",
        'livermore_alerts_waiting{channel="phone"}': "2.0",
        'livermore_alerts_delivered{channel="phone"}': "1.0",
        'livermore_alerts_failed{channel="phone"}': "1.0",
    }
