"""What happened in a day, in one message, at the hour that a rule names."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from alerts.events.source import WHOLE, Look, Moment, Seen
from alerts.kinds import KINDS
from alerts.models import Alert
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from warmup.human_readable import count

KIND = "digest"
DAY = timedelta(days=1)
NAMED = 6


class Digest:
    """Tells once a day, at the rule's hour in UTC or as soon as possible after it."""

    name = "digest"
    needs_redis = True

    def look(self, look: Look) -> Iterator[Seen | Moment]:
        position = look.position(self.name)
        now = datetime.fromtimestamp(look.now_ms / 1000, UTC)
        for rule in look.rules_of(KIND):
            day = (now - timedelta(hours=rule.limit)).date().isoformat()
            before = position.get(str(rule.pk))
            position[str(rule.pk)] = day  # a new rule begins with the next hour
            if before not in (None, day):
                chosen = [rule.exchange] if rule.exchange else look.wanted()
                text = digest(look, now, [each for each in chosen if each])
                yield Moment(KIND, rule.exchange, WHOLE, text, look.now_ms, rule.pk)


def digest(look: Look, now: datetime, exchanges: list[Exchange]) -> str:
    """Return what there is to say of the day before `now`: one text."""
    running = [each for each in exchanges if _is_live(look, each)]
    began = Alert.objects.filter(first_seen__gt=now - DAY).exclude(what=KIND)
    counts = Counter(began.order_by().values_list("what", flat=True))
    kinds = ", ".join(f"{many} x {KINDS[what].label}" for what, many in counts.most_common(NAMED)
                      if what in KINDS)  # fmt: skip
    still = Alert.objects.filter(resolved_at=None).order_by("first_seen")
    lines = [
        f"{len(running)} of {count(len(exchanges), 'exchange')} live",
        f"{count(counts.total(), 'alert')} in 24 hours{f': {kinds}' if kinds else ''}",
    ]
    lines += [f"open: {alert.text}" for alert in still[:NAMED]]
    return "; ".join(lines)


def _is_live(look: Look, exchange: Exchange) -> bool:
    return read_status(look.redis, exchange.pk).state is State.ACTIVE
