"""How long what was told is kept."""

import logging
import time
from datetime import timedelta

from django.utils import timezone

from alerts.models import Alert

logger = logging.getLogger(__name__)

KEPT = timedelta(days=90)
SECONDS_BETWEEN = 3600.0
AT_ONCE = 1000  # rows: a database of a file is held up for no longer


class Retention:
    """Deletes, from time to time, what was over long ago, with its messages."""

    def __init__(self):
        self._next = 0.0  # monotonic

    def step(self) -> None:
        """Delete some of what is due. Raises DatabaseError."""
        if time.monotonic() < self._next:
            return
        old = Alert.objects.filter(resolved_at__lt=timezone.now() - KEPT)
        found = list(old.values_list("pk", flat=True)[:AT_ONCE])
        if len(found) < AT_ONCE:
            self._next = time.monotonic() + SECONDS_BETWEEN
        if found:
            Alert.objects.filter(pk__in=found).delete()
            logger.info("alerts.forgotten alerts=%d", len(found))
