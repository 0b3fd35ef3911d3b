"""What people were told, beside what was to be told: each once, its end once, in order."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from alerts.delivery.senders import AGAIN
from alerts.models import Alert, AlertChannel, Delivery
from tests.experiments.watching.webhook import Doubt, Told, Webhook
from tests.warmup.runners import wait_until

# A message that a killed process had written whole may be read by the webhook so long after; the
# next try is made later than that.
READ_SECONDS = 1.0


class Messages:
    """The messages that arrived at a webhook of `channel`; `kills` in the middle of which."""

    def __init__(self, webhook: Webhook, channel: AlertChannel, kills: Collection[Doubt]):
        self.webhook, self.channel, self._kills = webhook, channel, kills
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
        taken = self._by_number()
        for delivery in Delivery.objects.filter(channel=self.channel).select_related("alert"):
            told = taken.pop(delivery.pk, [])
            if delivery.state != Delivery.State.DELIVERED:
                yield f"{delivery.state}, {delivery.fault}: {delivery.text}"
            yield from (f"{fault}: {delivery.text}" for fault in self._faults_of_times(told))
        yield from (f"nobody knows the message {number}" for number in taken if number)
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

    def _by_number(self) -> dict[int, list[Told]]:
        found: dict[int, list[Told]] = {}
        for each in self.webhook.taken:
            found.setdefault(each.number, []).append(each)
        return found

    def _faults_of_times(self, told: Sequence[Told]) -> Iterator[str]:
        """Look at all times that one message came: once, and once more for each kill of its sender
        after it had arrived and before that was noted; and as told again where that may be."""
        if not told:
            yield "told 0 times"
            return
        number = told[0].number
        kills = [each.at for each in self._kills if each.number == number]
        doubts = kills + [each.at for each in self.webhook.unanswered if each.number == number]
        for each in told:
            is_again = any(at < each.at - READ_SECONDS for at in doubts)
            if each.text.startswith(AGAIN) != is_again:
                yield f"it says that it is told again: {not is_again}, and is: {is_again}"
        for before, each in pairwise(told):
            why = next((at for at in kills if before.at - READ_SECONDS <= at < each.at), None)
            if why is None:
                yield f"told {len(told)} times, and no kill is why"
            else:
                kills.remove(why)

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
