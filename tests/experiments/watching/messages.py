"""What people were told, beside what was to be told: each once, its end once, in order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from alerts.delivery.senders import AGAIN
from alerts.models import Alert, AlertChannel, Delivery
from tests.experiments.watching.webhook import LOST, Told, Webhook
from tests.warmup.runners import wait_until


class Sent(NamedTuple):
    """A message that arrived, and the alert that it was of."""

    told: Told
    alert: Alert
    is_end: bool


class Messages:
    """The messages that arrived at a webhook of `channel`."""

    def __init__(self, webhook: Webhook, channel: AlertChannel):
        self.webhook, self.channel = webhook, channel
        self._before: Counter = Counter()

    def begun(self) -> Counter:
        """Count the kinds of the alerts whose beginning was told."""
        numbers = {each.number for each in list(self.webhook.taken)}
        found = Delivery.objects.filter(pk__in=numbers, is_end=False)
        return Counter(found.values_list("alert__what", flat=True))

    def subjects(self, *kinds: str) -> int:
        """Return how many subjects alerts of these kinds were about."""
        return sum(len(each.members) for each in self._alerts().filter(what__in=kinds))

    def texts(self, *kinds: str) -> list[str]:
        """Return what was told of these kinds, each once, in the order in which it came."""
        numbers = set(
            Delivery.objects.filter(
                channel=self.channel, is_end=False, alert__what__in=kinds
            ).values_list("pk", flat=True)
        )
        told = {each.number: each.text for each in self.webhook.taken if each.number in numbers}
        return list(told.values())

    def wait(self, seconds: float, **kinds: int) -> None:
        """Wait until so many more alerts were told than when the last ones were waited for."""
        try:
            wait_until(lambda: self.begun() - self._before >= Counter(kinds), seconds)
        except AssertionError:
            raise AssertionError(
                f"of {kinds} only {dict(self.begun() - self._before)} were told"
            ) from None

    def wait_until_over(self, seconds: float, *kinds: str) -> None:
        """Wait until all that was told of these kinds was told to be over."""

        def are_over() -> bool:
            ends = Delivery.objects.filter(channel=self.channel, is_end=True)
            over = set(
                ends.filter(pk__in={each.number for each in list(self.webhook.taken)}).values_list(
                    "alert_id", flat=True
                )
            )
            told = self._alerts().filter(what__in=kinds, is_moment=False)
            return {each.pk for each in told} <= over

        try:
            wait_until(are_over, seconds)
        except AssertionError:
            raise AssertionError(f"the end of {' and '.join(kinds)} was not told") from None

    def go_on(self) -> None:
        """Let what was told till now be counted no more by `wait`."""
        self._before = self.begun()

    def faults(self) -> Iterator[str]:
        """Yield what was told twice, not at all, without its end, or out of order."""
        by_number = Counter(each.number for each in self.webhook.taken)
        for delivery in Delivery.objects.filter(channel=self.channel).select_related("alert"):
            count = by_number.pop(delivery.pk, 0)
            if delivery.state != Delivery.State.DELIVERED:
                yield f"{delivery.state}, {delivery.fault}: {delivery.text}"
            if count != 1 and not self._may_be_twice(delivery.pk, count):
                yield f"told {count} times: {delivery.text}"
        yield from (f"nobody knows the message {number}" for number in by_number if number)
        yield from self._faults_of_ends()
        yield from self._faults_of_order()

    def again(self) -> tuple[int, int]:
        """Count what was told twice as it may have been told before, and what was told so once."""
        by_number = Counter(each.number for each in self.webhook.taken)
        marked = {each.number for each in self.webhook.taken if each.text.startswith(AGAIN)}
        twice = sum(by_number[each] > 1 for each in marked)
        return twice, len(marked) - twice

    def delays(self, apart_from: Sequence[float] = ()) -> list[float]:
        """Return after how many seconds each arrived that no kill was near, in order."""
        created = dict(
            Delivery.objects.filter(channel=self.channel).values_list("pk", "created_at")
        )
        found = []
        for each in self.webhook.taken:
            began = created[each.number].timestamp()
            if not any(began - 1 <= at <= each.at + 1 for at in apart_from):
                found.append(each.at - began)
        return found

    def _alerts(self):
        return Alert.objects.filter(deliveries__channel=self.channel).distinct()

    def _may_be_twice(self, number: int, count: int) -> bool:
        """Tell whether its sender was killed, and it says of itself that it is told again."""
        texts = [each.text for each in self.webhook.taken if each.number == number]
        arrived = self.webhook.killed_at.get(number, LOST) != LOST
        return (
            arrived and count == 2 and [each.startswith(AGAIN) for each in texts] == [False, True]
        )

    def _faults_of_ends(self) -> Iterator[str]:
        for alert in self._alerts():
            ends = alert.deliveries.filter(channel=self.channel, is_end=True).count()
            if ends != (not alert.is_moment and alert.resolved_at is not None):
                yield f"its end was told {ends} times: {alert.text}"
            if alert.resolved_at is None:
                yield f"it is not over: {alert.text}"

    def _faults_of_order(self) -> Iterator[str]:
        """Look at each alert and, where no try has failed, at all that no kill has met."""
        first: dict[int, int] = {}
        for place, each in enumerate(self.webhook.taken):
            first.setdefault(each.number, place)
        for end in Delivery.objects.filter(channel=self.channel, is_end=True):
            beginning = end.alert.deliveries.get(channel=self.channel, is_end=False)
            if first.get(end.pk, 0) < first.get(beginning.pk, 0):
                yield f"its end was told first: {beginning.text}"
        if not self.webhook.failed:
            numbers = [each.number for each in self.webhook.taken if AGAIN not in each.text]
            late = [b for a, b in pairwise(numbers) if b < a]
            if late:
                texts = Delivery.objects.filter(pk__in=late).values_list("text", flat=True)
                yield f"told out of order: {list(texts)}"


def faults_of_alerts() -> Iterator[str]:
    """Yield what was counted twice: a subject of one rule in two alerts at the same time, or what
    happened once in two of them; what happened says of whom, by a process."""
    lasting = Alert.objects.filter(is_moment=False, rule__isnull=False).order_by("first_seen")
    open_until: dict[tuple, object] = {}
    for alert in lasting:
        for subject in alert.members:
            of = (alert.rule_id, alert.exchange_id, subject)
            before = open_until.get(of)
            if before and (before.resolved_at is None or before.resolved_at > alert.first_seen):
                yield f"twice at the same time: {alert.text}"
            open_until[of] = alert
    happened = Counter(
        (alert.rule_id, alert.exchange_id, text)
        for alert in Alert.objects.filter(is_moment=True, rule__isnull=False)
        for text in alert.members.values()
    )
    yield from (f"twice: {text}" for (*_, text), count in happened.items() if count > 1)
