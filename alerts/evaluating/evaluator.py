"""One look at everything, and what comes of it: alerts, and the messages that tell of them.

All of it is written in one transaction with the positions of the sources, on the condition that
nobody has looked since: of two who look at once one has looked in vain.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import F, Q
from redis import Redis
from redis.exceptions import RedisError

from alerts.evaluating.decision import Decision, Pending, number_of, when
from alerts.evaluating.telling import tell
from alerts.events.source import Look, Moment, Seen, Source
from alerts.kinds import KINDS
from alerts.models import Alert, AlertProgress, AlertRule
from exchanges.errors import clip
from exchanges.models import Exchange

logger = logging.getLogger(__name__)

LATELY = timedelta(seconds=15)  # as long as a turn lasts


@dataclass(slots=True)
class Evaluated:
    """What a look came to. `in_vain`: somebody else looked meanwhile, nothing was written."""

    in_vain: bool = False
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
        self._own_step = 0  # the last that was ours

    def step(self, stands_back: bool = False) -> Evaluated:
        """Look once, and write what comes of it. Raises DatabaseError.

        Who `stands_back` does not look where another one has lately: that one may see more.
        """
        progress, _ = AlertProgress.objects.get_or_create(pk=1)
        look = self._begin(progress)
        done = Evaluated()
        if stands_back and self._is_anothers(progress, look.now_ms):
            done.in_vain = True
            return done
        events = list(self._see(look, done))
        pending = seen_since(of_active(progress.pending, look.exchanges), events, look.now_ms)
        with transaction.atomic():
            done.in_vain = not AlertProgress.objects.filter(pk=1, step=progress.step).update(
                step=progress.step + 1,
                positions=look.positions,
                pending=pending,
                looked_at=when(look.now_ms),
            )
            if not done.in_vain:
                self._own_step = progress.step + 1
                for write in look.writes:
                    write()
                resolve_orphans(look.rules, look.now_ms)
                decide(look.rules, events, pending, look.now_ms)
                done.messages = tell(look.rules, when(look.now_ms))
        return done

    def _is_anothers(self, progress: AlertProgress, now_ms: int) -> bool:
        if progress.looked_at is None or progress.step == self._own_step:
            return False
        return when(now_ms) - progress.looked_at < LATELY

    def _begin(self, progress: AlertProgress) -> Look:
        rules = AlertRule.objects.filter(is_active=True, what__in=KINDS)
        return Look(
            self._redis,
            int(1000 * self._now()),
            list(Exchange.objects.filter(is_active=True)),
            list(rules.select_related("exchange")),
            deepcopy(progress.positions),
        )

    def _see(self, look: Look, done: Evaluated) -> Iterable[Seen | Moment]:
        """Yield what the sources see. One that fails has said nothing, and leaves its position."""
        is_away = False
        for source in self._sources:
            if is_away and source.needs_redis:  # each would wait as long as the first did
                done.faults.append(source.name)
                continue
            before = deepcopy(look.positions.get(source.name))
            written = len(look.writes)
            try:
                found = list(source.look(look))
                is_away = is_away or any(_is_away(event) for event in found)
                yield from found
            except DatabaseError:
                raise
            except Exception as error:
                done.faults.append(source.name)
                del look.writes[written:]
                if before is None:
                    look.positions.pop(source.name, None)
                else:
                    look.positions[source.name] = before
                _note(source.name, error)


def decide(
    rules: Sequence[AlertRule], events: Sequence[Seen | Moment], pending: Pending, now_ms: int
) -> None:
    """Write what begins, goes on and is over by these events, of each rule."""
    by_kind: dict[str, list[Seen | Moment]] = defaultdict(list)
    for event in events:
        by_kind[event.kind].append(event)
    open_ones: dict[int, list[Alert]] = defaultdict(list)
    for alert in Alert.objects.filter(resolved_at=None, rule__in=rules).select_related("exchange"):
        open_ones[alert.rule_id].append(alert)
    for rule in rules:
        if found := by_kind.get(rule.what):
            Decision(rule, open_ones[rule.pk], pending, now_ms).take(found)


def of_active(before: Pending, exchanges: Iterable[Exchange]) -> Pending:
    """Return what was seen of the installation and of these: others begin anew some day."""
    kept = {number_of(each) for each in (None, *exchanges)}
    return {
        kind: {number: since for number, since in by_exchange.items() if number in kept}
        for kind, by_exchange in before.items()
    }


def seen_since(before: Pending, events: Iterable[Seen | Moment], now_ms: int) -> Pending:
    """Return since when each subject lasts, by kind and exchange; what nobody looked at stays."""
    found = deepcopy(before)
    for event in events:
        if isinstance(event, Seen) and event.amounts is None:
            number = number_of(event.exchange)
            known = found.setdefault(event.kind, {}).pop(number, {})
            if lasting := {subject: known.get(subject, now_ms) for subject in event.subjects}:
                found[event.kind][number] = lasting
    return {kind: by_exchange for kind, by_exchange in found.items() if by_exchange}


def resolve_orphans(rules: Sequence[AlertRule], now_ms: int) -> None:
    """End what nobody looks at any more, and let what waits of it be told to nobody.

    Its rule is gone, or about something else by now, or its exchange is not active.
    """
    now = when(now_ms)
    is_elsewhere = Q(rule__exchange__isnull=False) & ~Q(exchange=F("rule__exchange"))
    is_other = ~Q(what=F("rule__what")) | is_elsewhere | Q(exchange__is_active=False)
    orphans = Alert.objects.filter(~Q(rule__in=rules) | is_other)
    numbers = list(orphans.filter(resolved_at=None).values_list("pk", flat=True))
    Alert.objects.filter(pk__in=numbers).update(resolved_at=now, end_told_at=now, lasting=[])
    waiting = orphans.filter(told_at=None, is_moment=True, is_late=False)
    numbers = list(waiting.values_list("pk", flat=True))
    Alert.objects.filter(pk__in=numbers).update(told_at=now)


def _is_away(event: Seen | Moment) -> bool:
    return isinstance(event, Seen) and event.kind == "redis_away" and bool(event.subjects)


def _note(name: str, error: Exception) -> None:
    text = clip(f"{type(error).__name__}: {error}")
    if isinstance(error, RedisError):
        logger.debug("alerts.not_seen source=%s error=%s", name, text)
    else:
        logger.warning("alerts.not_seen source=%s error=%s", name, text, exc_info=error)
