"""What one rule makes of what was seen: what begins, what goes on, what is over."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from alerts.evaluating.cooling import cooling_subjects, cools_down
from alerts.evaluating.matching import covers, lasting, matches, ripe
from alerts.evaluating.texts import text_of
from alerts.events.source import Moment, Seen
from alerts.models import Alert, AlertRule
from exchanges.models import Exchange

# By kind, exchange's number and subject: since when it is seen, in ms.
Pending = dict[str, dict[str, dict[str, int]]]
NOBODY = "0"  # in place of an exchange's number: the installation's own
MOST_LATE = 500  # that are written of one look: more than anybody reads
SEEN_AGAIN = timedelta(seconds=30)  # so often it is written that an alert goes on


def number_of(exchange: Exchange | None) -> str:
    """Return an exchange's number, as JSON has keys."""
    return str(exchange.pk) if exchange else NOBODY


def when(ms: int) -> datetime:
    """Return a time in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


class Decision:
    """Writes the alerts of one rule, within the transaction of a look."""

    def __init__(self, rule: AlertRule, open_ones: list[Alert], pending: Pending, now_ms: int):
        """`open_ones` are the rule's alerts that are not over."""
        self._rule = rule
        self._open_ones = open_ones
        self._pending = pending.get(rule.what, {})
        self._now_ms = now_ms
        self._now = when(now_ms)

    def take(self, events: Sequence[Seen | Moment]) -> None:
        """Write what these events mean to the rule."""
        moments: dict[str, list[Moment]] = defaultdict(list)
        for event in events:
            if not matches(self._rule, event):
                continue
            if isinstance(event, Seen):
                self._take_lasting(event)
            elif covers(self._rule, event.subject):
                moments[number_of(event.exchange)].append(event)
        for found in moments.values():
            self._take_moments([moment for moment in found if not moment.is_late])
            self._take_late([moment for moment in found if moment.is_late])

    def _take_lasting(self, seen: Seen) -> None:
        found = lasting(self._rule, seen)
        ours = [each for each in self._open_ones if each.exchange == seen.exchange]
        for alert in ours:
            self._go_on(alert, found)
        told = {subject for alert in ours for subject in alert.lasting}
        since = self._pending.get(number_of(seen.exchange), {})
        new = {
            subject: text
            for subject, text in ripe(self._rule, seen, found, since, self._now_ms).items()
            if subject not in told
        }
        if new:
            waiting = [each for each in ours if not each.told_at and not each.resolved_at]
            began_ms = min(since.get(subject, self._now_ms) for subject in new)
            self._write(waiting[0] if waiting else self._begin(seen, began_ms), new)

    def _go_on(self, alert: Alert, found: Mapping[str, str]) -> None:
        """Write what of an alert is still so; what nobody was told of is forgotten when over."""
        still = [subject for subject in alert.lasting if subject in found]
        if still == alert.lasting and self._now - alert.last_seen < SEEN_AGAIN:
            return
        alert.lasting, alert.last_seen = still, self._now
        if alert.told_at is None and still:
            alert.members = {subject: found[subject] for subject in still}
            alert.text = text_of(alert)
        if not still:
            alert.resolved_at = self._now
        alert.save()

    def _take_moments(self, found: list[Moment]) -> None:
        """Add what happened to what waits to be told of that exchange.

        What cools down waits apart from what does not.
        """
        if not found:
            return
        cooling = cooling_subjects(self._rule, found[0].exchange, self._now)
        waiting = Alert.objects.filter(
            rule=self._rule,
            exchange=found[0].exchange,
            is_moment=True,
            is_late=False,
            told_at=None,
        )
        by_state = {cools_down(each, cooling): each for each in reversed(waiting)}
        for cools in (False, True):
            if chosen := [each for each in found if (each.subject in cooling) is cools]:
                self._add(by_state.get(cools) or self._begin_with(chosen), chosen)

    def _take_late(self, found: list[Moment]) -> None:
        """Write what is too old to be told, the newest of it."""
        newest = sorted(found, key=lambda each: each.at_ms)[-MOST_LATE:]
        if newest:
            alert = self._begin_with(newest)
            alert.is_late = True
            self._add(alert, newest)

    def _begin_with(self, found: Sequence[Moment]) -> Alert:
        return self._begin(found[0], min(each.at_ms for each in found))

    def _add(self, alert: Alert, found: Sequence[Moment]) -> None:
        new: dict[str, str] = {}
        for moment in found:
            name, again = moment.subject, 2
            while name in alert.members or name in new:  # it happened again before it is told
                name, again = f"{moment.subject} ({again})".strip(), again + 1
            new[name] = moment.text
        self._write(alert, new)

    def _begin(self, event: Seen | Moment, began_ms: int) -> Alert:
        return Alert(
            rule=self._rule,
            what=event.kind,
            exchange=event.exchange,
            first_seen=when(began_ms),
            is_moment=isinstance(event, Moment),
        )

    def _write(self, alert: Alert, new: Mapping[str, str]) -> None:
        alert.members = {**alert.members, **new}
        alert.lasting = [] if alert.is_moment else [*alert.lasting, *new]
        alert.last_seen = self._now
        alert.resolved_at = self._now if alert.is_moment else None
        alert.text = text_of(alert)
        alert.save()
