"""Programs that may read candles from elsewhere than this machine."""

import hashlib
import secrets

from django.core.validators import MinValueValidator
from django.db import models

PREFIX = "lm_"  # of a token, so that who finds one knows what it is


class ApiClient(models.Model):
    """A program that reads candles. Its token is shown once, when it is made; a digest is kept."""

    name = models.CharField(max_length=100, unique=True)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    is_active = models.BooleanField("active", default=True)
    requests_per_second = models.PositiveIntegerField(
        default=50,
        validators=[MinValueValidator(1)],
        help_text="So many requests it may send in a second; more are answered with HTTP 429.",
    )
    sockets = models.PositiveIntegerField(
        default=20,
        validators=[MinValueValidator(1)],
        help_text="So many WebSockets and event streams it may have open at a time.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "api_clients"
        ordering = ["name"]
        verbose_name = "API client"

    def __str__(self):
        return self.name

    def new_token(self) -> str:
        """Give it a token in place of the one it had; return it, as nobody can read it later."""
        token = PREFIX + secrets.token_urlsafe(32)
        self.token_digest = digest(token)
        return token


def digest(token: str) -> str:
    """Return what is kept of a token: of 256 random bits one round of a hash tells nobody more."""
    return hashlib.sha256(token.encode()).hexdigest()
