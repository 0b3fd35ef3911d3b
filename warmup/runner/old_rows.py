"""Rows that nobody needs any more: sessions that are over, log entries and episodes of long ago."""

import logging
import time
from datetime import timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone
from redis import Redis

from exchanges.models import Episode
from livermore.market import keys

logger = logging.getLogger(__name__)

LOG_DAYS = 365  # who did what: for that long somebody may ask
EPISODES_KEPT = timedelta(days=31)  # what became of an exchange: a page shows thirty
ROWS_AT_ONCE = 1000  # so that nobody waits for long for SQLite's lock
DAY_SECONDS = 86_400
LOOK_SECONDS = 600.0


def clear_old_rows(log_days: int = LOG_DAYS) -> dict[str, int]:
    """Delete sessions that have expired, and log entries older than so many days; count them.

    Episodes go a month after they ended.
    """
    now = timezone.now()
    return {
        "sessions": _delete(Session.objects.filter(expire_date__lt=now)),
        "log": _delete(LogEntry.objects.filter(action_time__lt=now - timedelta(days=log_days))),
        "episodes": _delete(Episode.objects.filter(ended_at__lt=now - EPISODES_KEPT)),
    }


class OldRows:
    """Clears them once a day, whichever of all agents comes first."""

    def __init__(self, redis: Redis):
        self._redis = redis
        self._look_at = 0.0  # monotonic

    def step(self) -> None:
        """Clear them if it is time. Raises errors of Redis's and Django's: a later one tries it."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        name = keys.old_rows_cleared()
        # Whoever dies over it leaves it to another one soon.
        if not self._redis.set(name, int(time.time() * 1000), nx=True, ex=int(LOOK_SECONDS)):
            return
        counts = clear_old_rows()
        self._redis.expire(name, DAY_SECONDS)
        logger.info(
            "old_rows.cleared sessions=%(sessions)d log=%(log)d episodes=%(episodes)d", counts
        )


def _delete(rows: QuerySet) -> int:
    count = 0
    while chosen := list(rows.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        rows.model.objects.filter(pk__in=chosen).delete()
        count += len(chosen)
    return count
