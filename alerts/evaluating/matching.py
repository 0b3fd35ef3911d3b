"""Which of what is seen a rule is about. Pure code."""

from collections.abc import Mapping
from datetime import time

from alerts.events.source import WHOLE, Moment, Seen
from alerts.kinds import KINDS, MINUTES
from alerts.models import AlertRule

MINUTE_MS = 60_000


def matches(rule: AlertRule, event: Seen | Moment) -> bool:
    """Tell whether a rule is about such things, at that exchange."""
    if isinstance(event, Moment) and event.rule not in (None, rule.pk):
        return False
    number = event.exchange.pk if event.exchange else None
    return rule.what == event.kind and rule.exchange_id in (None, number)


def covers(rule: AlertRule, subject: str) -> bool:
    """Tell whether a rule is about a subject, where its kind is by symbol or by pair."""
    kind = KINDS[rule.what]
    symbol, _, timeframe = subject.partition(" ")
    if kind.whole and not rule.symbols:
        return subject == WHOLE
    if rule.symbols and (kind.by_pair or kind.by_symbol) and symbol not in rule.symbols:
        return False
    return not (rule.timeframes and kind.by_pair and timeframe not in rule.timeframes)


def lasting(rule: AlertRule, seen: Seen) -> dict[str, str]:
    """Return the subjects that count for a rule: those it is about, with amounts from its limit."""
    amounts = seen.amounts
    return {
        subject: text
        for subject, text in seen.subjects.items()
        if covers(rule, subject) and (amounts is None or amounts[subject] >= rule.limit)
    }


def ripe(
    rule: AlertRule, seen: Seen, found: Mapping[str, str], since: Mapping[str, int], now_ms: int
) -> dict[str, str]:
    """Return those of `found` that have lasted for as long as the rule wants.

    `since` is from when on each was seen, in ms; where amounts are compared all have.
    """
    is_time = seen.amounts is None and KINDS[rule.what].unit == MINUTES
    least_ms = rule.limit * MINUTE_MS if is_time else 0
    return {
        subject: text
        for subject, text in found.items()
        if now_ms - since.get(subject, now_ms) >= least_ms
    }


def is_quiet(rule: AlertRule, at: time) -> bool:
    """Tell whether a time of the day is within a rule's quiet hours, which may go over midnight."""
    begin, end = rule.quiet_from, rule.quiet_until
    if begin is None or end is None or begin == end:
        return False
    return begin <= at < end if begin < end else at >= begin or at < end
