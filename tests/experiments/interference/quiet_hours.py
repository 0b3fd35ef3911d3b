"""Quiet hours and cool-down, tried beside all else, at an exchange that nobody runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from alerts.models import Alert, AlertRule
from exchanges.models import Exchange, Symbol
from tests.experiments.watching.messages import Messages
from tests.warmup.runners import wait_until

EXCHANGE = "coinbase"
NIGHT, CALM = ("Q1", "Q2"), ("C1", "C2", "C3")  # symbols of the rule with quiet hours, the other
QUIET_SECONDS, COOL_DOWN_MINUTES = 60, 1
WITHIN_SECONDS = 240


class QuietHours:
    """Two rules: one has a channel of its own at `night`, the other one at `calm`."""

    def __init__(self, night: Messages, calm: Messages):
        self._night, self._calm = night, calm
        self._row = Exchange.objects.get(name=EXCHANGE)
        self._symbols = Symbol.objects.filter(exchange=self._row)
        self._until = datetime.now(UTC)

    def begin(self) -> None:
        """Let two symbols be halted in quiet hours, of which one comes back in them, and three be
        delisted one after the other, two of them within the cool-down."""
        for name in (*NIGHT, *CALM):
            Symbol.objects.create(
                exchange=self._row, symbol=f"{name}-USD", native_symbol=f"{name}USD", base=name,
                quote="USD", is_monitored=True,
            )  # fmt: skip
        now = datetime.now(UTC)
        self._until = (now + timedelta(seconds=QUIET_SECONDS)).replace(microsecond=0)
        AlertRule.objects.create(
            what="halted", exchange=self._row, cool_down=0, channel=self._night.channel,
            quiet_from=(now - timedelta(hours=1)).time(), quiet_until=self._until.time(),
        )  # fmt: skip
        AlertRule.objects.create(
            what="delisted", exchange=self._row, cool_down=COOL_DOWN_MINUTES,
            channel=self._calm.channel,
        )  # fmt: skip
        self._become("halted", *NIGHT)
        self._become("delisted", CALM[0])
        wait_until(lambda: self._are_noticed(*NIGHT, CALM[0]), WITHIN_SECONDS)
        self._become("trading", NIGHT[1])
        for name in CALM[1:]:
            self._become("delisted", name)
            wait_until(lambda of=name: self._are_noticed(of), WITHIN_SECONDS)

    def end(self) -> Iterator[str]:
        """Yield what was told too early, and what was not told; let all trade again."""
        expected = {self._night: ["Q1-USD: "], self._calm: ["C1-USD: ", "2 symbols"]}
        wait_until(
            lambda: all(len(each.webhook.taken) >= len(expected[each]) for each in expected),
            WITHIN_SECONDS,
        )
        for each, parts in expected.items():
            found = [told.text for told in each.webhook.taken]
            if len(found) != len(parts) or not all(map(str.__contains__, found, parts)):
                yield f"{each.channel} was told {found}"
        if (early := self._until.timestamp() - self._night.webhook.taken[0].at) > 0:
            yield f"told {early:.1f} s before quiet hours were over"
        # From decision to decision: one that a kill met arrives later.
        first, second = self._calm.channel.deliveries.values_list("created_at", flat=True)[:2]
        if (apart := (second - first).total_seconds()) < 60 * COOL_DOWN_MINUTES:
            yield f"told again after {apart:.1f} s, within the cool-down"
        self._become("trading", *NIGHT, *CALM)

    def _become(self, status: str, *names: str) -> None:
        self._symbols.filter(base__in=names).update(status=status)

    def _are_noticed(self, *names: str) -> bool:
        alerts = Alert.objects.filter(exchange=self._row)
        noticed = {subject for each in alerts for subject in each.members}
        return {f"{name}-USD" for name in names} <= noticed
