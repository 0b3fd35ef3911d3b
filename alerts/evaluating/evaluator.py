"""One look at everything, and what comes of it: alerts, and the messages that tell of them.

All of it is written in one transaction with the positions of the sources, on the condition that
nobody has looked since: of two who look at once one has looked in vain.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q
from redis import Redis
from redis.exceptions import RedisError

from alerts.evaluating.matching import covers, is_quiet, matches, ripe
from alerts.evaluating.wording import beginning, resolution, text_of
from alerts.events.source import Look, Moment, Seen, Source
from alerts.kinds import KINDS
from alerts.models import Alert, AlertProgress, AlertRule, Delivery
from exchanges.errors import clip
from exchanges.models import Exchange

logger = logging.getLogger(__name__)

Events = Sequence[Seen | Moment]
Pending = dict[str, dict[str, dict[str, int]]]
NOBODY = "0"  # in place of an exchange's number: the installation's own


@dataclass(slots=True)
class Evaluated:
    """What a look came to. `in_vain`: somebody else looked meanwhile, nothing was written."""

    in_vain: bool = False
    opened: int = 0
    resolved: int = 0
    messages: int = 0
    faults: list[str] = field(default_factory=list)  # names of sources that could not look


class Evaluator:
    """Looks and decides. `now` is the time in seconds, for tests."""

    def __init__(
        self, redis: Redis, sources: Sequence[Source], now: Callable[[], float] = time.time
    ):
        self._redis = redis
        self._sources = sources
        self._now = now

    def step(self) -> Evaluated:
        """Look once, and write what comes of it. Raises DatabaseError."""
        progress, _ = AlertProgress.objects.get_or_create(pk=1)
        now_ms = int(1000 * self._now())
        rules = [
            rule
            for rule in AlertRule.objects.filter(is_active=True).select_related("exchange")
            if rule.what in KINDS
        ]
        look = Look(
            self._redis,
            now_ms,
            list(Exchange.objects.filter(is_active=True)),
            rules,
            deepcopy(progress.positions),
        )
        done = Evaluated()
        events = list(self._see(look, done))
        pending = seen_since(progress.pending, events, now_ms)
        with transaction.atomic():
            done.in_vain = not AlertProgress.objects.filter(pk=1, step=progress.step).update(
                step=progress.step + 1,
                positions=look.positions,
                pending=pending,
                looked_at=_at(now_ms),
            )
            if not done.in_vain:
                for rule in rules:
                    _Decision(rule, pending, now_ms, done).take(events)
                _resolve_orphans(rules, now_ms, done)
        return done

    def _see(self, look: Look, done: Evaluated) -> Iterable[Seen | Moment]:
        """Yield what the sources see. One that fails has said nothing, and leaves its position."""
        for source in self._sources:
            before = deepcopy(look.positions.get(source.name))
            try:
                yield from list(source.look(look))
            except DatabaseError:
                raise
            except Exception as error:
                done.faults.append(source.name)
                if before is None:
                    look.positions.pop(source.name, None)
                else:
                    look.positions[source.name] = before
                _note(source.name, error)


class _Decision:
    """What one rule makes of what was seen."""

    def __init__(self, rule: AlertRule, pending: Pending, now_ms: int, done: Evaluated):
        self._rule = rule
        self._pending = pending
        self._now_ms = now_ms
        self._now = _at(now_ms)
        self._done = done

    def take(self, events: Events) -> None:
        """Write what begins, goes on and is over by these events; then tell what is to be told."""
        open_ones = list(
            Alert.objects.filter(rule=self._rule, resolved_at=None).select_related("exchange")
        )
        moments: dict[int | None, list[Moment]] = {}
        for event in events:
            if not matches(self._rule, event):
                continue
            if isinstance(event, Moment):
                if covers(self._rule, event.subject):
                    moments.setdefault(_number(event.exchange), []).append(event)
            else:
                self._take_lasting(
                    event, [each for each in open_ones if each.exchange == event.exchange]
                )
        for found in moments.values():
            self._take_moments(found)
        self._tell()

    def _take_lasting(self, seen: Seen, open_ones: list[Alert]) -> None:
        since = self._pending.get(seen.kind, {}).get(str(_number(seen.exchange) or NOBODY), {})
        lasting = {
            subject: text for subject, text in seen.subjects.items() if covers(self._rule, subject)
        }
        for alert in open_ones:
            self._go_on(alert, lasting)
        told = {subject for alert in open_ones for subject in alert.lasting}
        found = ripe(self._rule, lasting, since, self._now_ms)
        if new := {subject: text for subject, text in found.items() if subject not in told}:
            began_ms = min(since.get(subject, self._now_ms) for subject in new)
            waiting = [each for each in open_ones if not each.told_at and not each.resolved_at]
            self._begin(waiting[0] if waiting else None, seen, new, began_ms)

    def _go_on(self, alert: Alert, lasting: Mapping[str, str]) -> None:
        """Write what of an alert is still so; what nobody was told of is forgotten when over."""
        alert.lasting = [subject for subject in alert.lasting if subject in lasting]
        alert.last_seen = self._now
        if alert.told_at is None and alert.lasting:
            alert.members = {subject: lasting[subject] for subject in alert.lasting}
            alert.text = text_of(alert)
        if not alert.lasting:
            alert.resolved_at = self._now
            self._done.resolved += 1
        alert.save()

    def _begin(
        self, alert: Alert | None, seen: Seen | Moment, new: Mapping[str, str], began_ms: int
    ) -> None:
        is_moment = isinstance(seen, Moment)
        if alert is None:
            alert = Alert(
                rule=self._rule,
                what=seen.kind,
                exchange=seen.exchange,
                first_seen=_at(began_ms),
                is_moment=is_moment,
            )
            self._done.opened += 1
        alert.members = {**alert.members, **new}
        alert.lasting = [] if is_moment else [*alert.lasting, *new]
        alert.last_seen = self._now
        alert.resolved_at = self._now if is_moment else None
        alert.text = text_of(alert)
        alert.save()

    def _take_moments(self, found: list[Moment]) -> None:
        """Add what happened to what waits to be told of that exchange."""
        first = found[0]
        waiting = Alert.objects.filter(
            rule=self._rule, exchange=first.exchange, is_moment=True, told_at=None
        ).first()
        new: dict[str, str] = {}
        taken = set(waiting.members) if waiting else set()
        for moment in found:
            name, again = moment.subject, 2
            while name in taken:  # the same happened twice before it is told
                name, again = f"{moment.subject} ({again})".strip(), again + 1
            taken.add(name)
            new[name] = moment.text
        self._begin(waiting, first, new, min(each.at_ms for each in found))

    def _tell(self) -> None:
        """Queue the messages that are due: not in quiet hours, beginnings not in a cool-down."""
        if is_quiet(self._rule, self._now.time()):
            return
        rule_alerts = Alert.objects.filter(rule=self._rule).select_related("exchange")
        untold = rule_alerts.filter(Q(resolved_at=None) | Q(is_moment=True), told_at=None)
        for alert in untold.order_by("pk"):
            if not self._cools_down(alert):
                alert.told_at = self._now
                alert.save(update_fields=["told_at"])
                self._queue(alert, beginning(alert), is_end=False)
        over = rule_alerts.filter(is_moment=False, end_told_at=None)
        for alert in over.exclude(told_at=None).exclude(resolved_at=None).order_by("pk"):
            alert.end_told_at = self._now
            alert.save(update_fields=["end_told_at"])
            self._queue(alert, resolution(alert), is_end=True)

    def _cools_down(self, alert: Alert) -> bool:
        since = self._now - timedelta(minutes=self._rule.cool_down)
        told = Alert.objects.filter(rule=self._rule, exchange=alert.exchange, told_at__gt=since)
        return told.exists()

    def _queue(self, alert: Alert, text: str, is_end: bool) -> None:
        if self._rule.channel_id is None:
            return
        Delivery.objects.create(
            alert=alert,
            channel_id=self._rule.channel_id,
            is_end=is_end,
            text=text,
            next_try_at=self._now,
            created_at=self._now,
            changed_at=self._now,
        )
        self._done.messages += 1


def seen_since(before: Pending, events: Iterable[Seen | Moment], now_ms: int) -> Pending:
    """Return since when each subject lasts, by kind and exchange; what nobody looked at stays."""
    found = deepcopy(before)
    for event in events:
        if isinstance(event, Seen):
            number = str(_number(event.exchange) or NOBODY)
            known = found.setdefault(event.kind, {}).pop(number, {})
            if lasting := {subject: known.get(subject, now_ms) for subject in event.subjects}:
                found[event.kind][number] = lasting
    return {kind: by_exchange for kind, by_exchange in found.items() if by_exchange}


def _resolve_orphans(rules: Sequence[AlertRule], now_ms: int, done: Evaluated) -> None:
    """End what belongs to no active rule any more: nobody looks whether it is so."""
    now = _at(now_ms)
    lasting = Alert.objects.filter(resolved_at=None)
    for ended in (lasting.exclude(rule__in=rules), lasting.filter(exchange__is_active=False)):
        done.resolved += ended.update(resolved_at=now, end_told_at=now, lasting=[])


def _number(exchange: Exchange | None) -> int | None:
    return exchange.pk if exchange else None


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _note(name: str, error: Exception) -> None:
    text = clip(f"{type(error).__name__}: {error}")
    if isinstance(error, RedisError):
        logger.debug("alerts.not_seen source=%s error=%s", name, text)
    else:
        logger.warning("alerts.not_seen source=%s error=%s", name, text, exc_info=error)


def open_alerts() -> Any:
    """Return what is not over, the newest first."""
    return Alert.objects.filter(resolved_at=None).select_related("exchange", "rule")
