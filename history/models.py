"""What is kept as history, and what is known of it: the manifest of its files."""

from django.db import models

from exchanges.models import Exchange
from history.months import Month


class KeptHistory(models.Model):
    """What of an exchange is kept: from when on, of which symbols, in which timeframes."""

    exchange = models.OneToOneField(Exchange, on_delete=models.CASCADE, related_name="kept_history")
    since = models.DateField(help_text="The first day, in UTC.")
    symbols = models.JSONField(
        default=list, blank=True, help_text="Canonical names; none means those monitored."
    )
    timeframes = models.JSONField(default=list, blank=True, help_text="None means all six.")
    is_active = models.BooleanField(
        "active", default=True, help_text="Whether new closes are appended as they come."
    )

    class Meta:
        db_table = "kept_history"
        verbose_name = verbose_name_plural = "kept history"

    def __str__(self):
        return f"{self.exchange} since {self.since}"


class PairHistory(models.Model):
    """Of which stretches the files of a pair hold all that the exchange has.

    `coverage` is as in `livermore.market.coverage`; what it holds without a row is proven empty.
    `unconfirmed` is what the exchange has to tell again, as in `warmup.cache.unconfirmed`.
    """

    store = models.CharField(max_length=64)
    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="pair_histories")
    symbol = models.CharField(max_length=100)
    timeframe = models.CharField(max_length=3)
    coverage = models.JSONField(default=list)
    unconfirmed = models.JSONField(default=list)

    class Meta:
        db_table = "pair_histories"
        verbose_name_plural = "pair histories"
        ordering = ["exchange", "symbol", "timeframe"]
        constraints = [
            models.UniqueConstraint(
                fields=["store", "exchange", "symbol", "timeframe"], name="pair_histories_one"
            )
        ]

    def __str__(self):
        return f"{self.symbol} {self.timeframe}"


class HistoryFile(models.Model):
    """A file of a pair and month, as it was written last.

    While one is written `next_digest` is what it will be, and `next_coverage` what it covers then:
    a process that ends between writing the file and saying so leaves it to the next one to see
    which of the two is there.
    """

    pair = models.ForeignKey(PairHistory, on_delete=models.CASCADE, related_name="files")
    month = models.CharField(max_length=7)  # as `Month` is written
    path = models.CharField(max_length=300)
    digest = models.CharField(max_length=64, blank=True)  # SHA-256; empty: there is none yet
    rows = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField("bytes", default=0)
    next_digest = models.CharField(max_length=64, blank=True)
    next_rows = models.PositiveIntegerField(default=0)
    next_size = models.PositiveBigIntegerField(default=0)
    next_coverage = models.JSONField(default=list)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "history_files"
        ordering = ["pair", "month"]
        constraints = [
            models.UniqueConstraint(fields=["pair", "month"], name="history_files_one_a_month")
        ]

    def __str__(self):
        return self.path

    @property
    def interval(self):
        """Return from when to when its month goes, in ms, half-open."""
        return Month.named(self.month).interval
