"""What was told so lately that a rule does not tell it again yet."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta

from alerts.kinds import KINDS
from alerts.models import Alert, AlertRule
from exchanges.models import Exchange

AGAIN = re.compile(r" \(\d+\)$")  # behind a subject that is there more than once


class Everything:
    """Holds every subject."""

    def __contains__(self, subject: object) -> bool:
        return True


def cooling_subjects(
    rule: AlertRule, exchange: Exchange | None, now: datetime
) -> Collection[str] | Everything:
    """Return which subjects of an exchange a rule does not tell of yet.

    A rule about signals waits with each pair by itself, any other with all of an exchange.
    """
    since = now - timedelta(minutes=rule.cool_down)
    told = Alert.objects.filter(rule=rule, exchange=exchange, told_at__gt=since)
    if not KINDS[rule.what].in_full:
        return Everything() if told.exists() else ()
    names = (name for members in told.values_list("members", flat=True) for name in members)
    return {AGAIN.sub("", name) for name in names}


def cools_down(alert: Alert, cooling: Collection[str] | Everything) -> bool:
    """Tell whether an alert waits, as one of its subjects is cooling."""
    return any(is_cooling(name, cooling) for name in alert.members)


def is_cooling(name: str, cooling: Collection[str] | Everything) -> bool:
    """Tell whether a subject is cooling, by its name among an alert's members."""
    return AGAIN.sub("", name) in cooling
