"""Channels, rules, and what they told: the history of alerts and of each message."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from alerts.kinds import KINDS, MOST_MINUTES, choices
from alerts.variables import validate_variable
from exchanges.models import Exchange

LONGEST_FAULT = 300


class AlertChannel(models.Model):
    """Where messages go: by the name of the variable that holds the address, never the address."""

    name = models.CharField(
        max_length=100, unique=True, help_text="What rules and commands call it: phone, team."
    )
    variable = models.CharField(
        max_length=64,
        validators=[validate_variable],
        help_text="The name of an environment variable LIVERMORE_NOTIFY_… that holds an apprise "
        "URL, such as tgram://… or json://host/path: set it where `alerts` runs. Never the URL.",
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="Without it nothing is sent; what waits is kept."
    )

    class Meta:
        db_table = "alert_channels"
        ordering = ["name"]

    def __str__(self):
        return self.name


class AlertRule(models.Model):
    """Of what is told, from when on, how often at most, and where.

    `symbols` and `timeframes` are empty for all. `threshold` None is the kind's own.
    """

    what = models.CharField(max_length=20, choices=choices)
    exchange = models.ForeignKey(
        Exchange,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="alert_rules",
        help_text="None: all exchanges.",
    )
    symbols = models.JSONField(default=list, blank=True)
    timeframes = models.JSONField(default=list, blank=True)
    threshold = models.FloatField(
        null=True,
        blank=True,
        help_text="For how many minutes it has to last before it is told; of a clock by how many "
        "seconds it is off, of a digest the hour of the day in UTC. Of a level of MACD-V the "
        "first that rings, from 150 on: 200 rings at ±200, ±250, … ±400. Of a price that price, in "
        "the quote currency. A stage or a reversal has none. Empty: the usual.",
    )
    cool_down = models.PositiveIntegerField(
        "cool-down (minutes)",
        default=15,
        validators=[MaxValueValidator(MOST_MINUTES)],
        help_text="What begins sooner than so many minutes after the last message is told together "
        "when they are over.",
    )
    quiet_from = models.TimeField(
        null=True,
        blank=True,
        help_text="From here on, in UTC, messages wait until quiet hours end.",
    )
    quiet_until = models.TimeField(null=True, blank=True, help_text="When they end, in UTC.")
    channel = models.ForeignKey(
        AlertChannel,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="rules",
        help_text="None: on the page only.",
    )
    is_active = models.BooleanField("active", default=True)

    class Meta:
        db_table = "alert_rules"
        ordering = ["what", "pk"]

    def __str__(self):
        where = f" at {self.exchange}" if self.exchange_id else ""
        return f"{KINDS[self.what].label if self.what in KINDS else self.what}{where}"

    def clean(self):
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValidationError({"quiet_until": "Quiet hours have a beginning and an end."})
        if self.quiet_from is not None and self.quiet_from == self.quiet_until:
            raise ValidationError(
                {"quiet_until": "They begin and end at the same time: leave them empty."}
            )
        kind = KINDS.get(self.what)
        if kind and self.threshold is not None and not kind.allows(self.threshold):
            if not kind.most:
                raise ValidationError({"threshold": "This has no threshold: leave it empty."})
            raise ValidationError({"threshold": f"It is from {kind.least:g} to {kind.most:g}."})
        if kind and kind.is_price:
            if self.threshold is None:
                raise ValidationError({"threshold": "Which price?"})
            if not self.symbols:
                raise ValidationError({"symbols": "A price is one of a symbol: name it."})

    @property
    def limit(self) -> float:
        """Return the threshold that counts."""
        kind = KINDS.get(self.what)
        return self.threshold if self.threshold is not None else kind.threshold if kind else 0.0


class Alert(models.Model):
    """One thing that was told, or waits to be: of one rule and exchange, of several subjects.

    `members` are all subjects with their text, `lasting` the names of those that are not over.
    `told_at` None: it waits for the end of a cool-down or of quiet hours, or was over before. What
    `is_late` is told to nobody: it was too old when it was seen.
    """

    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    what = models.CharField(max_length=20, choices=choices)
    exchange = models.ForeignKey(
        Exchange, on_delete=models.CASCADE, null=True, blank=True, related_name="alerts"
    )
    text = models.TextField()
    members = models.JSONField(default=dict)
    lasting = models.JSONField(default=list)
    is_moment = models.BooleanField(default=False)
    is_late = models.BooleanField("late", default=False)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    resolved_at = models.DateTimeField("resolved", null=True, blank=True)
    told_at = models.DateTimeField("told", null=True, blank=True)
    end_told_at = models.DateTimeField("end told", null=True, blank=True)

    class Meta:
        db_table = "alerts"
        ordering = ["-first_seen", "-pk"]
        indexes = [
            models.Index(
                fields=["rule", "exchange"], condition=Q(resolved_at=None), name="alerts_open"
            ),
            models.Index(fields=["resolved_at"], name="alerts_resolved"),
            models.Index(fields=["first_seen"], name="alerts_by_time"),
            # Each look asks for these few of what may be hundreds of thousands.
            models.Index(fields=["rule"], condition=Q(told_at=None), name="alerts_untold"),
            models.Index(
                fields=["rule"],
                condition=Q(end_told_at=None, is_moment=False),
                name="alerts_end_untold",
            ),
        ]

    def __str__(self):
        return self.text

    @property
    def lasted(self) -> timedelta:
        """Return how long it lasted, or has lasted up to when it was seen last."""
        return (self.resolved_at or self.last_seen) - self.first_seen


class Delivery(models.Model):
    """A message to one channel, from the moment it is decided to what came of it.

    It is written in the transaction in which its alert is told, and `sending` from before the call
    to after it: one that a killed process left so may have arrived, and is told again as such.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENDING = "sending", "being sent"
        DELIVERED = "delivered", "delivered"
        FAILED = "failed", "given up"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="deliveries")
    is_end = models.BooleanField("resolution", default=False)
    text = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveIntegerField(default=0, validators=[MinValueValidator(0)])
    next_try_at = models.DateTimeField()
    fault = models.CharField(max_length=LONGEST_FAULT, blank=True, default="")
    sender = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "alert_deliveries"
        ordering = ["pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel", "is_end"], name="alert_deliveries_once"
            )
        ]
        indexes = [
            models.Index(fields=["channel", "state", "next_try_at"], name="alert_due"),
            models.Index(fields=["state", "changed_at"], name="alert_by_state"),
        ]

    def __str__(self):
        return f"{self.text.splitlines()[0][:80] if self.text else ''} ({self.state})"


class AlertProgress(models.Model):
    """Up to where events were evaluated: one row, changed with the alerts that came of it.

    `step` counts looks: who finds another number than it read has looked in vain.
    """

    step = models.PositiveBigIntegerField(default=0)
    positions = models.JSONField(default=dict)  # by source
    pending = models.JSONField(
        default=dict
    )  # kind, exchange, subject: since when it is seen, in ms
    looked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "alert_progress"


class SignalState(models.Model):
    """Up to where the closes of a pair were evaluated, for rules about signals.

    `state` is what `alerts.signals.pair_signals` keeps. A pair that no rule is about has no row.
    """

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="+")
    symbol = models.CharField(max_length=100)
    timeframe = models.CharField(max_length=3)
    state = models.TextField()

    class Meta:
        db_table = "alert_signal_states"
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "symbol", "timeframe"], name="alert_signal_states_pair"
            )
        ]
