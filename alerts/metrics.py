"""What Prometheus is told of alerts: what is open, and what came of messages."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import Error as DatabaseError
from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from alerts.models import Alert, AlertProgress, Delivery
from warmup.metrics.exposition import GAUGE, Kind

METRICS = {
    "alerts_open": Kind(GAUGE, "Alerts that are not over", ("what",)),
    "alerts_look_age_seconds": Kind(GAUGE, "Time since alerts were evaluated last", ()),
    "alerts_waiting": Kind(GAUGE, "Messages that a channel has not taken", ("channel",)),
    "alerts_delivered": Kind(GAUGE, "Messages that it took, of those kept", ("channel",)),
    "alerts_failed": Kind(GAUGE, "Messages that were given up, as above", ("channel",)),
}
BY_STATE = {
    Delivery.State.WAITING: "alerts_waiting",
    Delivery.State.SENDING: "alerts_waiting",
    Delivery.State.DELIVERED: "alerts_delivered",
    Delivery.State.FAILED: "alerts_failed",
}


class AlertCollector(Collector):
    """Counts rows when a registry asks for it."""

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Any] = {
            name: kind.family(f"livermore_{name}", kind.help, labels=kind.labels)
            for name, kind in METRICS.items()
        }
        try:
            values = list(_values())
        except DatabaseError:  # `database_up` tells it
            values = []
        for name, labels, value in values:
            families[name].add_metric(labels, float(value))
        return families.values()


def _values() -> Iterator[tuple[str, tuple[str, ...], float]]:
    still = Alert.objects.filter(resolved_at=None).order_by().values_list("what")
    for what, many in still.annotate(Count("pk")):
        yield "alerts_open", (what,), many
    progress = AlertProgress.objects.first()
    if progress and progress.looked_at:
        age = timezone.now() - progress.looked_at
        yield "alerts_look_age_seconds", (), age.total_seconds()
    counts: dict[tuple[str, str], int] = {}
    messages = Delivery.objects.order_by().values_list("channel__name", "state")
    for channel, state, many in messages.annotate(Count("pk")):
        for name in {*BY_STATE.values()}:
            counts.setdefault((name, channel), 0)
        counts[BY_STATE[state], channel] += many
    for (name, channel), many in counts.items():
        yield name, (channel,), many
