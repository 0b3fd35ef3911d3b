"""The venues: protocols that exchanges speak."""

from django.db import models


class Venue(models.TextChoices):
    """A protocol, which several exchanges may share."""

    BINANCE = "binance", "Binance"
    COINBASE = "coinbase", "Coinbase Advanced Trade"

    @property
    def key_prefix(self) -> str:
        """Return how the names of variables begin that hold its keys."""
        return f"{self.value.upper()}_"
