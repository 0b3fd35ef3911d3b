"""When an alert is told: not in quiet hours, beginnings not in a cool-down, each once."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Q

from alerts.evaluating.cooling import (
    Everything,
    cooling_subjects,
    cools_down,
    is_cooling,
)
from alerts.evaluating.matching import is_quiet
from alerts.evaluating.texts import beginning, resolution, text_of
from alerts.models import Alert, AlertRule, Delivery


def tell(rules: Sequence[AlertRule], now: datetime) -> int:
    """Queue the messages that are due, within the transaction of a look; return how many."""
    by_id = {rule.pk: rule for rule in rules if not is_quiet(rule, now.time())}
    ours = Alert.objects.filter(rule__in=by_id).select_related("exchange").order_by("pk")
    messages = 0
    # What was over before it could be told is no news; what only happened is.
    for alert in ours.filter(Q(resolved_at=None) | Q(is_moment=True), told_at=None, is_late=False):
        rule = by_id[alert.rule_id]
        if due := part_due(alert, cooling_subjects(rule, alert.exchange, now)):
            Alert.objects.filter(pk=due.pk).update(told_at=now)
            messages += _queue(rule, due, beginning(due), now, is_end=False)
    over = ours.filter(is_moment=False, end_told_at=None, told_at__isnull=False)
    for alert in over.filter(resolved_at__isnull=False):
        Alert.objects.filter(pk=alert.pk).update(end_told_at=now)
        messages += _queue(by_id[alert.rule_id], alert, resolution(alert), now, is_end=True)
    return messages


def part_due(alert: Alert, cooling: Collection[str] | Everything) -> Alert | None:
    """Return what of an alert no cool-down holds back, an alert by itself; None where nothing is.

    The others wait on: those that come to them meanwhile would hold up the first for ever.
    """
    if not cools_down(alert, cooling):
        return alert
    waits = {name: text for name, text in alert.members.items() if is_cooling(name, cooling)}
    if not alert.is_moment or len(waits) == len(alert.members):
        return None
    due = Alert(
        rule_id=alert.rule_id,
        what=alert.what,
        exchange=alert.exchange,
        members={name: text for name, text in alert.members.items() if name not in waits},
        is_moment=True,
        first_seen=alert.first_seen,
        last_seen=alert.last_seen,
        resolved_at=alert.resolved_at,
    )
    alert.members = waits
    for each in (alert, due):
        each.text = text_of(each)
        each.save()
    return due


def _queue(rule: AlertRule, alert: Alert, text: str, now: datetime, is_end: bool) -> int:
    if rule.channel_id is None:
        return 0
    times = {"next_try_at": now, "created_at": now, "changed_at": now}
    Delivery.objects.create(
        alert=alert, channel_id=rule.channel_id, is_end=is_end, text=text, **times
    )
    return 1
