"""Which alerts are open and were open lately, as a person reads them: a bounded number of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.urls import reverse
from django.utils import timezone

from alerts.kinds import KINDS, Kind
from alerts.models import Alert, AlertRule, Delivery
from alerts.page import runbook
from alerts.page.summary import why_not_known
from exchanges.errors import clip
from livermore.market.timeframe import SHORTEST_FIRST
from livermore.observing.redaction import redacted
from warmup.human_readable import count

OPEN_SHOWN, PAST_SHOWN = 50, 50
MEMBERS_SHOWN = 12
LINES_SHOWN, LONGEST_LINE = 12, 400
PAST = timedelta(days=1)
SYMBOLS_TIMEFRAME = "1h"  # of the pair's page that a symbol without a timeframe leads to
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
ON_THE_PAGE = "On the page only: its rule has no channel."
NOT_YET = "Not told yet: it waits for the end of a cool-down or of quiet hours."
NEVER = "It was over before it was told."
TOO_OLD = "Told to nobody: it was too old when it was seen."


@dataclass(frozen=True, slots=True)
class Member:
    """One subject of an alert; `url` leads to its pair, "" where there is none."""

    name: str
    text: str
    url: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message to one channel: `tone` is good, warn or bad."""

    channel: str
    what: str
    tone: str
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert as the drawer has it; URLs are "" where there is nothing, or the user may not."""

    row: Alert
    label: str
    text: str
    lasted: str
    members: list[Member]
    members_label: str
    more_members: int
    deliveries: list[Delivered]
    not_told: str
    exchange_url: str
    runbook_url: str
    row_url: str
    rule_url: str


def read_alerts(user: AbstractBaseUser) -> dict[str, Any]:
    """Return what the drawer shows. Raises DatabaseError."""
    now = timezone.now()
    rows = Alert.objects.select_related("exchange", "rule").prefetch_related("deliveries__channel")
    lasting = rows.filter(resolved_at=None)
    past = rows.filter(resolved_at__gt=now - PAST).order_by("-resolved_at", "-pk")
    counted = {"open_count": lasting.count(), "past_count": past.count()}
    found = {
        "open": [_shown(each, user, now) for each in lasting[:OPEN_SHOWN]],
        "past": [_shown(each, user, now) for each in past[:PAST_SHOWN]],
    }
    more = {f"more_{name}": counted[f"{name}_count"] - len(found[name]) for name in found}
    return {
        **counted,
        **found,
        **more,
        "not_known": why_not_known(),
        "all_url": _admin_url(user, Alert, "changelist"),
        "rules_url": _admin_url(user, AlertRule, "changelist"),
    }


def length(lasted: timedelta) -> str:
    """Return for how long something lasted, in its two largest units: `3 h 5 min`."""
    rest, parts = max(0, int(lasted.total_seconds())), []
    for size, unit in UNITS:
        if rest >= size:
            parts.append(f"{rest // size} {unit}")
        rest %= size
    return " ".join(parts[:2]) or "0 s"


def _shown(alert: Alert, user: AbstractBaseUser, now: datetime) -> ShownAlert:
    told = [_delivered(each, user) for each in alert.deliveries.all()]
    kind, members = KINDS.get(alert.what), _members(alert)
    return ShownAlert(
        row=alert,
        label=kind.label if kind else alert.what,
        text=_lines(alert.text),
        lasted="" if alert.is_moment else length((alert.resolved_at or now) - alert.first_seen),
        members=members,
        members_label=count(len(alert.members), _noun(kind)),
        more_members=max(0, len(alert.members) - MEMBERS_SHOWN),
        deliveries=told,
        not_told="" if told else _why_not_told(alert),
        exchange_url=_exchange_url(alert),
        runbook_url=runbook.address(alert.what),
        row_url=_row_url(user, alert),
        rule_url=_row_url(user, alert.rule),
    )


def _lines(text: str) -> str:
    lines = redacted(text).splitlines()
    return "\n".join(clip(line, LONGEST_LINE) for line in lines[:LINES_SHOWN])


def _noun(kind: Kind | None) -> str:
    if kind and kind.by_pair:
        return "pair"
    return "symbol" if kind and kind.by_symbol else "subject"


def _members(alert: Alert) -> list[Member]:
    """Return the first subjects, those that last before those that are over.

    None where its text says it all: of one that has no page of its own.
    """
    names = list(alert.members)
    if len(names) == 1 and not _pair_url(alert, names[0]):
        return []
    lasting = set(alert.lasting)
    is_over = {name: not alert.is_moment and name not in lasting for name in alert.members}
    names = sorted(alert.members, key=lambda name: (is_over[name], name))
    return [
        Member(
            clip(name),
            clip(redacted(str(alert.members[name]))),
            _pair_url(alert, name),
            is_over[name],
        )
        for name in names[:MEMBERS_SHOWN]
    ]


def _pair_url(alert: Alert, subject: str) -> str:
    kind = KINDS.get(alert.what)
    symbol, _, rest = subject.partition(" ")
    if not (kind and alert.exchange_id and symbol and (kind.by_pair or kind.by_symbol)):
        return ""
    # What follows may say how often it happened: "BTC-USD 1h (2)".
    timeframe = rest.partition(" ")[0] if kind.by_pair else SYMBOLS_TIMEFRAME
    if timeframe not in SHORTEST_FIRST:
        return ""
    pairs = f"{reverse('network:page')}{alert.exchange_id}/pairs/"
    return f"{pairs}{quote(symbol, safe='')}/{timeframe}/"


def _exchange_url(alert: Alert) -> str:
    if alert.exchange is None or not alert.exchange.is_active:
        return ""
    return f"{reverse('network:page')}#exchange-{alert.exchange_id}"


def _delivered(delivery: Delivery, user: AbstractBaseUser) -> Delivered:
    tone, text = _state_of(delivery)
    what = "its end" if delivery.is_end else "the message"
    return Delivered(str(delivery.channel), what, tone, text, _row_url(user, delivery))


def _state_of(delivery: Delivery) -> tuple[str, str]:
    state, fault = delivery.State(delivery.state), clip(redacted(delivery.fault))
    tries = f"{delivery.tries} {'try' if delivery.tries == 1 else 'tries'}"
    if state is state.DELIVERED:
        return "good", f"delivered at {_minute(delivery.changed_at)}"
    if state is state.FAILED:
        return "bad", f"failed: given up after {tries}: {fault}"
    if state is state.SENDING:
        return "warn", "being sent"
    if not delivery.channel.is_active:
        return "warn", "waiting: the channel is switched off"
    if delivery.tries:
        return "bad", f"waiting: {tries}: {fault}; again at {_minute(delivery.next_try_at)}"
    return "warn", "waiting"


def _why_not_told(alert: Alert) -> str:
    if alert.is_late:
        return TOO_OLD
    if alert.told_at:
        return ON_THE_PAGE
    return NOT_YET if alert.is_moment or not alert.resolved_at else NEVER


def _row_url(user: AbstractBaseUser, row: models.Model | None) -> str:
    """Return the address of a row in the admin, where it has one and the user may see it."""
    return _admin_url(user, type(row), "change", [row.pk]) if row is not None else ""


def _admin_url(
    user: AbstractBaseUser, model: type[models.Model], page: str, arguments: Iterable = ()
) -> str:
    options = model._meta
    may = (f"{options.app_label}.{verb}_{options.model_name}" for verb in ("view", "change"))
    if not admin.site.is_registered(model) or not any(map(user.has_perm, may)):
        return ""
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=list(arguments))


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
