"""An audit of each exchange a night, by whichever agent comes first."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, close_old_connections, transaction
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError
from exchanges.models import AuditRun, Exchange
from exchanges.transport.listed_hosts import is_listed
from history.audit.audit import SAMPLE, Audit, begin, finish
from history.audit.store import store_of
from warmup.cache.candles import CandleCache

logger = logging.getLogger(__name__)

LOOK_SECONDS = 300.0
END_SECONDS = 2.0
HTTPS_PORT, HTTP_PORT = 443, 80


class NightlyAudits:
    """Audits, while entered, each wanted exchange once a night, in a thread.

    The database gives each night of an exchange to one agent: who writes its row first. What dies
    over it leaves a run that never ended, and the next one is on the next day.
    """

    def __init__(self, redis: Redis, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._redis = redis
        self._now = now
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightly-audits", daemon=True)

    def __enter__(self) -> "NightlyAudits":
        if settings.AUDIT_HOUR is not None:
            self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def step(self) -> None:
        """Audit what is due now."""
        now = self._now()
        if now.hour != settings.AUDIT_HOUR:
            return
        rows = Exchange.objects.filter(is_active=True, wanted=Exchange.Wanted.RUNNING)
        done = AuditRun.objects.filter(night=now.date()).values("exchange")
        for exchange in rows.exclude(pk__in=done):
            if self._ending.is_set():
                return
            self._audit(exchange, now)

    def _audit(self, exchange: Exchange, now: datetime) -> None:
        second = second_of(exchange)
        try:
            with transaction.atomic():
                run = begin(exchange, second, now.date())
        except IntegrityError:
            return  # another agent has begun
        try:
            cache = CandleCache(self._redis, exchange.pk)
            finish(run, Audit(exchange, cache, store_of(exchange), second).run(SAMPLE))
        except (LivermoreError, RedisError) as error:
            logger.warning("audit.failed exchange=%s error=%s", exchange.name, error)

    def _run(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            close_old_connections()
            try:
                self.step()
            except DatabaseError as error:
                logger.warning("audit.night_failed error=%s", error)
            except Exception:  # tomorrow is another day
                logger.exception("audit.failed exchange=unknown")


def second_of(exchange: Exchange) -> Exchange | None:
    """Return another exchange that is wanted, elsewhere and public, with a symbol of the same name.

    Prices of one on this machine are made up.
    """
    if _is_private(exchange):
        return None
    monitored = exchange.symbols.kept_warm().values("symbol")
    others = Exchange.objects.filter(is_active=True, wanted=Exchange.Wanted.RUNNING)
    others = others.exclude(pk=exchange.pk).exclude(rest_url=exchange.rest_url)
    others = others.filter(symbols__symbol__in=monitored).distinct()
    return next((each for each in others if not _is_private(each)), None)


def _is_private(exchange: Exchange) -> bool:
    parts = urlsplit(exchange.rest_url)
    port = parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
    return is_listed(parts.hostname or "", port)
