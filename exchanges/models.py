"""Exchanges, their symbols, and the accounts that users have there."""

import hashlib
import json
import os
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from exchanges import key_names
from exchanges.symbols.listed import PERPETUAL, SPOT
from exchanges.validators import (
    is_env_name,
    validate_env_shape,
    validate_proxy,
    validate_rest_url,
    validate_ws_url,
)
from exchanges.venues import VENUES, choices

NAME_TAKEN = "This user has an account of that name at this exchange."
WHICH_KEY = ("user_id", "exchange_id", *key_names.FIELDS)


class Timestamped(models.Model):
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Exchange(Timestamped):
    """A place that sells candles: its addresses, and how fast it may be asked.

    Its primary key is the `exchange_id` of every Redis key. `venue` names the code that speaks its
    protocol, which several exchanges share.
    """

    class Pacing(models.TextChoices):
        BATCH = "batch", "Batches"
        WEIGHT = "weight", "Request weight"

    class Wanted(models.TextChoices):
        RUNNING = "running", "running"
        STOPPED = "stopped", "stopped"

    name = models.SlugField(
        unique=True, help_text="What commands call it: letters, digits, _ and -."
    )
    display_name = models.CharField(max_length=100)
    venue = models.CharField(
        max_length=20, choices=choices, help_text="The protocol that its addresses speak."
    )
    rest_url = models.CharField("REST address", max_length=200, validators=[validate_rest_url])
    ws_url = models.CharField("WebSocket address", max_length=200, validators=[validate_ws_url])
    archive_url = models.CharField(
        "archive address",
        max_length=200,
        blank=True,
        default="",
        validators=[validate_rest_url],
        help_text="Where candles are published in bulk, for history. Empty: nowhere.",
    )
    proxy = models.CharField(
        max_length=200,
        blank=True,
        default="",
        validators=[validate_proxy],
        help_text="http://, https:// or socks5h://host:port; where it wants a password, the name "
        "of an environment variable LIVERMORE_PROXY_… that holds all of it. Empty: none.",
    )
    # SET_NULL: a user who is deleted takes the accounts along, and public candles need no key.
    account = models.ForeignKey(
        "UserExchange",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="used_by",
        help_text="Whose key its calls are signed with. None: public candles only, without a key.",
    )
    is_active = models.BooleanField("active", default=True)
    wanted = models.CharField(
        max_length=10,
        choices=Wanted,
        default=Wanted.STOPPED,
        help_text="Whether an agent, on whichever machine, keeps it warm and live.",
    )
    # Set with `wanted`: when somebody asked last, by the database's clock, and from which holder
    # of the lock (an instance id) an agent shall take the exchange. An agent obeys soon or never.
    wanted_at = models.DateTimeField(null=True, blank=True, editable=False)
    take_over_from = models.CharField(max_length=64, blank=True, default="", editable=False)
    take_over_reason = models.CharField(max_length=200, blank=True, default="", editable=False)
    # When its listing was looked at last, by the database's clock.
    listed_at = models.DateTimeField(null=True, blank=True, editable=False)
    pacing = models.CharField(
        max_length=10,
        choices=Pacing,
        default=Pacing.BATCH,
        help_text="Weight: as fast as published limits allow. Batches: where none are published.",
    )
    batch_size = models.PositiveSmallIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="Requests at the same time (1 to 50).",
    )
    batch_delay_ms = models.PositiveIntegerField(
        "batch delay (ms)",
        default=1000,
        validators=[MaxValueValidator(60_000)],
        help_text="Milliseconds between two batches (0 to 60000).",
    )

    class Meta:
        db_table = "exchanges"
        ordering = ["name"]
        permissions = [("operate_exchange", "Can operate exchanges on the Network page")]

    def __str__(self):
        return self.display_name or self.name

    @property
    def depth_rows(self) -> int | None:
        """Return of how many of its newest bars it tells, whichever the timeframe; None: of all."""
        return VENUES[self.venue].depth_rows if self.venue in VENUES else None

    def clean(self):
        venue = VENUES.get(self.venue)
        if venue and not venue.weight and self.pacing == self.Pacing.WEIGHT:
            raise ValidationError(
                {"pacing": f"{self} publishes no request weight: choose batches."}
            )
        if venue and not venue.archive and self.archive_url:
            raise ValidationError(
                {"archive_url": f"{venue.label} publishes no candles in bulk: leave it empty."}
            )
        # Paths are appended to the base, and some exchanges answer 404 to a double slash.
        self.rest_url = self.rest_url.rstrip("/")
        self.ws_url = self.ws_url.rstrip("/")
        if venue and venue.stream_paths and not self.ws_url.endswith(venue.stream_paths):
            wanted = f"ends with {venue.stream_paths[0]}, as in {venue.presets[0].ws_url}."
            raise ValidationError({"ws_url": f"The WebSocket address of {venue.label} {wanted}"})
        self.archive_url = self.archive_url.rstrip("/")
        self.proxy = self.proxy.rstrip("/")
        account = UserExchange.objects.filter(pk=self.account_id).first()
        if account and (fault := account.why_not_used(self)):
            raise ValidationError({"account": fault})


class UserExchange(Timestamped):
    """An account of a user at an exchange: where its keys are found, never the keys.

    Write it through `exchanges.accounts` only, which keeps exactly one default per user while
    any account is active. The constraints hold half of that for code that goes around it: never
    two defaults, never an inactive one.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="user_exchanges"
    )
    # PROTECT: a cascade would delete a user's default without promoting another.
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="user_exchanges")
    display_name = models.CharField(max_length=100)
    api_key_env = models.CharField(
        "key variable",
        max_length=255,
        blank=True,
        validators=[validate_env_shape],
        help_text="The name of the environment variable that holds the key, never the key itself.",
    )
    api_secret_env = models.CharField(
        "secret variable", max_length=255, blank=True, validators=[validate_env_shape]
    )
    passphrase_env = models.CharField(
        "passphrase variable", max_length=255, blank=True, validators=[validate_env_shape]
    )
    is_active = models.BooleanField("active", default=True)
    is_default = models.BooleanField("default", default=False)
    last_connected_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "user_exchanges"
        ordering = ["user", "created_at", "id"]
        verbose_name = "user exchange"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "exchange", "display_name"],
                name="user_exchanges_one_per_name",
                violation_error_message=NAME_TAKEN,
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(is_default=True),
                name="user_exchanges_one_default",
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(is_active=True),
                name="user_exchanges_default_is_active",
            ),
        ]

    def __str__(self):
        return self.display_name

    def clean(self):
        if self.is_default and not self.is_active:
            raise ValidationError(
                {"is_default": "An inactive account can't be the default: activate it first."}
            )
        if fault := self.why_not_changed():
            raise ValidationError(fault)
        if self.exchange_id and (faults := self._faults_of_names()):
            raise ValidationError(faults)

    def validate_constraints(self, exclude=None):
        # A second default is no mistake of the person: saving it unsets the previous one.
        super().validate_constraints(exclude={*(exclude or ()), "is_default"})

    def faults(self, venue: str) -> dict[str, str]:
        """Return by field why its variables may not be used at a venue, beside all accounts."""
        return key_names.faults_in(self, venue, UserExchange.objects.exclude(pk=self.pk))

    def why_not_used(self, exchange: Exchange) -> str:
        """Return why an exchange may not use this account, empty where it may."""
        if self.exchange_id != exchange.pk:
            return f"{self} is an account at another exchange: choose one of this exchange."
        if not self.is_active:
            return f"{self} is inactive: activate it, or choose another account."
        faults = self.faults(exchange.venue).items()
        return " ".join(
            f"{self}, {self._label(field)}: {text}"
            for field, text in faults
            if text != key_names.A_KEY  # it is not this account that sends a secret
        )

    def which_key(self) -> str:
        """Return a digest that two accounts share only where both lead to the same key."""
        values = [getattr(self, name) for name in (*WHICH_KEY, "is_active")]
        return hashlib.sha256(json.dumps([self.pk, *values]).encode()).hexdigest()

    def why_not_changed(self) -> str:
        """Return why what was changed may not be while an exchange uses the account, else nothing.

        Which key an exchange uses is chosen with a right of its own: nobody leads it to another
        one by changing what was chosen. Who deactivates the account ends that use.
        """
        stored = UserExchange.objects.filter(pk=self.pk).first()
        if stored is None or not self.is_active:
            return ""
        if all(getattr(stored, name) == getattr(self, name) for name in WHICH_KEY):
            return ""
        return self.why_kept("its variables, exchange and user stay as they are")

    def why_kept(self, what: str) -> str:
        """Return that exchanges use the account, and so `what`; nothing where none does."""
        names = " and ".join(self.used_by.order_by("name").values_list("name", flat=True))
        if not names:
            return ""
        return (
            f"The key of {self} is used by {names}, so {what}. Deactivate the account first, which "
            f"ends that, or let somebody who may change exchanges choose another one for {names}."
        )

    def _faults_of_names(self) -> dict[str, str]:
        """Return the same of what has the form of a name: the field itself looks at that."""
        faults = self.faults(self.exchange.venue)
        return {name: text for name, text in faults.items() if is_env_name(getattr(self, name))}

    def _label(self, field: str) -> str:
        return str(self._meta.get_field(field).verbose_name)

    def environment(self) -> dict[str, bool]:
        """Return the variables this account names, each with whether this process has it."""
        names = filter(None, (self.api_key_env, self.api_secret_env, self.passphrase_env))
        return {name: bool(os.environ.get(name)) for name in names}


class SymbolQuerySet(models.QuerySet):
    def monitored(self):
        """Return the symbols that somebody wants, whatever became of them."""
        return self.filter(is_monitored=True)

    def trading(self):
        """Return the symbols that make candles."""
        return self.filter(status=Symbol.Status.TRADING)

    def kept_warm(self):
        """Return the symbols to keep warm: monitored, and trading; no other is asked for."""
        return self.monitored().trading()

    def listed(self):
        """Return the symbols that their exchange still has, trading or halted."""
        return self.exclude(status__in=Symbol.GONE)


class Symbol(Timestamped):
    """A market of an exchange, under the name we use and the one the exchange uses.

    `symbol` is canonical (`BTC-USD`) and part of every Redis key; `native_symbol` is the
    exchange's (`BTCUSD`), which may stand for a market of each kind. Both come from its listing
    (`exchanges.symbols.listing`). Names may hold any alphabet and begin with a digit. `alias` is
    the native name of the market whose prices this one shows, and under which it is streamed.

    A halted symbol is listed and makes no candles; a delisted one is listed no more; a renamed one
    goes on as `renamed_to`, by somebody's word. `status_since` is when we learned of it.
    """

    class Status(models.TextChoices):
        TRADING = "trading", "trading"
        HALTED = "halted", "halted"
        DELISTED = "delisted", "delisted"
        RENAMED = "renamed", "renamed"

    class Kind(models.TextChoices):
        SPOT = SPOT, "spot"
        PERPETUAL = PERPETUAL, "perpetual"

    GONE = (Status.DELISTED, Status.RENAMED)

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="symbols")
    symbol = models.CharField(max_length=100)
    native_symbol = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SPOT)
    base = models.CharField(max_length=50)
    quote = models.CharField(max_length=50)
    status = models.CharField(max_length=10, choices=Status, default=Status.TRADING)
    alias = models.CharField(max_length=100, blank=True, default="")
    status_since = models.DateTimeField(null=True, blank=True, editable=False)
    renamed_to = models.CharField(max_length=100, blank=True, default="", editable=False)
    is_monitored = models.BooleanField("monitored", default=False)

    objects = SymbolQuerySet.as_manager()

    class Meta:
        db_table = "symbols"
        ordering = ["exchange", "symbol"]
        constraints = [
            models.UniqueConstraint(fields=["exchange", "symbol"], name="symbols_one_per_name"),
            # A row that is gone keeps its native name, which may be given to another market.
            models.UniqueConstraint(
                fields=["exchange", "native_symbol", "kind"],
                condition=~Q(status__in=["delisted", "renamed"]),
                name="symbols_one_per_native_name",
            ),
        ]

    def __str__(self):
        return self.symbol

    @property
    def status_text(self) -> str:
        """Return the status for a person."""
        return f"renamed to {self.renamed_to}" if self.renamed_to else self.get_status_display()


class AuditRun(models.Model):
    """What came of asking an exchange again for some of the candles that are kept of it.

    `night` is the day of a run that an agent made by itself, of which there is one; a person's has
    none. `differences` are the first few, an object each, as `history.audit` writes them.
    """

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="audit_runs")
    night = models.DateField(null=True, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    compared = models.PositiveIntegerField(default=0)
    differing = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True, default="")  # why they are unknown
    differences = models.JSONField(default=list, blank=True)
    # The same candles at another exchange, where prices differ a little without a fault.
    second = models.ForeignKey(
        Exchange,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="second exchange",
    )
    second_compared = models.PositiveIntegerField("compared with it", default=0)
    second_beyond = models.PositiveIntegerField("far from it", default=0)
    second_reason = models.CharField("unknown there", max_length=500, blank=True, default="")

    class Meta:
        db_table = "audit_runs"
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(fields=["exchange", "night"], name="audit_runs_one_a_night")
        ]

    def __str__(self):
        return f"{self.exchange} {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    @property
    def is_fine(self) -> bool:
        """Tell whether all of it was compared, and nothing differs."""
        return self.is_over and not (self.differing or self.second_beyond or self.unknown)


class EpisodeKind(StrEnum):
    """What an episode is about; of each kind one goes on at the most."""

    RUN = "run"
    STATE = "state"
    HOLES = "holes"
    STALE = "stale"
    PAUSE = "pause"
    BAN = "ban"


class EpisodeTone(StrEnum):
    """How an episode is for whoever wants the exchange to be live; OFF: nobody does."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    OFF = "off"


class Episode(models.Model):
    """Something that was so of an exchange for a while: who ran it, its state, holes, a ban.

    Written by an agent when it begins and when it ends. `seen_at` is when it was seen last, of a
    run the last sign of life of its holder. While `ended_at` is None it goes on, as far as anybody
    knows; `ending` says how it ended, where that is not by what follows. `count` is the most that
    there were meanwhile, of pairs with holes. `run_id` is the instance id of a run's holder.
    """

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="episodes")
    kind = models.CharField(
        max_length=10, choices=[(each.value, each.value) for each in EpisodeKind]
    )
    tone = models.CharField(
        max_length=10, choices=[(each.value, each.value) for each in EpisodeTone]
    )
    text = models.CharField(max_length=300)
    count = models.PositiveIntegerField(default=0)
    run_id = models.CharField(max_length=64, blank=True, default="")
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ending = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "exchange_episodes"
        ordering = ["-began_at", "-pk"]
        indexes = [models.Index(fields=["exchange", "began_at"], name="episodes_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "kind"],
                condition=Q(ended_at=None),
                name="exchange_episodes_one_goes_on",
            )
        ]

    def __str__(self):
        return f"{self.exchange} {self.began_at:%Y-%m-%d %H:%M} {self.text}"
