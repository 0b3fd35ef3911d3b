"""An evaluator whose sources and clock are a test's."""

from alerts.evaluating.evaluator import Evaluator
from alerts.events.source import Moment, Seen
from alerts.models import Alert, Delivery
from exchanges.models import Exchange

START = 1_795_953_600.0  # 2026-11-29 12:00 UTC
MINUTE = 60.0


class Said:
    """A source that says what it is told to, at the next look alone."""

    name = "said"
    needs_redis = True

    def __init__(self):
        self.events = []
        self.error = None

    def look(self, look):
        events, self.events = self.events, []
        look.position(self.name)["looks"] = look.position(self.name).get("looks", 0) + 1
        yield from events
        if self.error:
            raise self.error


class Looked:
    """Looks at a time of the test's, in seconds since noon."""

    def __init__(self, redis):
        self.source, self.at = Said(), 0.0
        self.exchange = Exchange.objects.get(name="sandbox")
        self.evaluator = Evaluator(redis, [self.source], lambda: START + self.at)

    def see(self, kind, *subjects, at=None, exchange=..., amounts=None):
        """Look while these subjects last; `at` in minutes."""
        exchange = self.exchange if exchange is ... else exchange
        self.source.events = [Seen(kind, exchange, dict.fromkeys(subjects, "it is so"), amounts)]
        return self.look(at)

    def happens(self, kind, *subjects, at=None, rule=None):
        now_ms = int(1000 * (START + self.at))
        self.source.events = [
            Moment(kind, self.exchange, each, "it was so", now_ms, rule) for each in subjects
        ]
        return self.look(at)

    def look(self, at=None):
        self.at = self.at if at is None else MINUTE * at
        return self.evaluator.step()

    @property
    def messages(self):
        """Return the texts that were queued, in order."""
        return list(Delivery.objects.order_by("pk").values_list("text", flat=True))

    @property
    def alerts(self):
        return list(Alert.objects.order_by("pk"))
