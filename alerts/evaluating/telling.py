"""When an alert is told: not in quiet hours, beginnings not in a cool-down, each once."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from alerts.evaluating.cooling import cooling_subjects, cools_down
from alerts.evaluating.matching import is_quiet
from alerts.evaluating.texts import beginning, resolution
from alerts.models import Alert, AlertRule, Delivery


def tell(rules: Sequence[AlertRule], now: datetime) -> int:
    """Queue the messages that are due, within the transaction of a look; return how many."""
    by_id = {rule.pk: rule for rule in rules if not is_quiet(rule, now.time())}
    ours = Alert.objects.filter(rule__in=by_id).select_related("exchange").order_by("pk")
    messages = 0
    # What was over before it could be told is no news; what only happened is.
    for alert in ours.filter(Q(resolved_at=None) | Q(is_moment=True), told_at=None, is_late=False):
        rule = by_id[alert.rule_id]
        if not cools_down(alert, cooling_subjects(rule, alert.exchange, now)):
            Alert.objects.filter(pk=alert.pk).update(told_at=now)
            messages += _queue(rule, alert, beginning(alert), now, is_end=False)
    over = ours.filter(is_moment=False, end_told_at=None, told_at__isnull=False)
    for alert in over.filter(resolved_at__isnull=False):
        Alert.objects.filter(pk=alert.pk).update(end_told_at=now)
        messages += _queue(by_id[alert.rule_id], alert, resolution(alert), now, is_end=True)
    return messages


def _queue(rule: AlertRule, alert: Alert, text: str, now: datetime, is_end: bool) -> int:
    if rule.channel_id is None:
        return 0
    times = {"next_try_at": now, "created_at": now, "changed_at": now}
    Delivery.objects.create(
        alert=alert, channel_id=rule.channel_id, is_end=is_end, text=text, **times
    )
    return 1
