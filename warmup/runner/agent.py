"""A machine's part of the work: makes what runs here what the database wants to run.

Every pass looks at the rows and the runners of this process, and does what is missing. So several
agents share the exchanges through their locks: those that others hold are waited for, and when
their agent ends or dies another takes over.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models.functions import Now
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import Temporary
from exchanges.lock.acquire import ExchangeLock, outgoing_ip
from exchanges.lock.watch import LockWatch
from exchanges.models import Exchange
from exchanges.redis.installation import Announcer
from exchanges.redis.unreadable import is_wrong_type, warn_once
from exchanges.transport.backoff import reconnect_delays
from livermore.market import keys
from warmup.processes.life import Order, Outcome
from warmup.processes.threads import Place, Run, Threads
from warmup.runner.agents import Registration, deregister, register
from warmup.runner.old_rows import OldRows
from warmup.runner.trouble import TroubleReport

logger = logging.getLogger(__name__)

STEP_SECONDS = 2.0
COURTESY_SECONDS, LONGEST_COURTESY_SECONDS = 0.05, 0.5
END_SECONDS = 5.0
GOOD_LIFE_SECONDS = 60.0
OLDEST_TAKE_OVER = timedelta(minutes=2)  # whoever asked has looked elsewhere since


@dataclass(slots=True)
class Job:
    """One exchange that this agent runs, or tries to."""

    exchange: Exchange
    trouble: TroubleReport
    run: Run | None = None
    started_at: float = 0.0
    wait_seconds: float = 0.0  # before the next try
    next_try_at: float = 0.0
    held: bool = False  # by somebody else, when it was tried last
    delays: Iterator[float] = field(default_factory=reconnect_delays)

    @property
    def alive(self) -> bool:
        return self.run is not None and self.run.alive


class Agent:
    """Runs the exchanges that are wanted and that nobody else runs, each at a `place`.

    Where none is given they run in threads of this process. `say` is told in a line what begins
    and ends.
    """

    def __init__(self, redis: Redis, say: Callable[[str], None], place: Place | None = None):
        self._redis = redis
        self._place = place or Threads(redis, say)
        self._jobs: dict[int, Job] = {}
        self._old_rows = OldRows(redis)
        self._announcer = Announcer(redis)
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._watch = LockWatch(redis, self._wake.set, self._courtesy)
        self._registration = Registration(
            str(uuid.uuid4()), socket.gethostname(), outgoing_ip(), os.getpid(), 0, 0
        )

    @property
    def agent_id(self) -> str:
        """Return the id under which it is registered."""
        return self._registration.agent_id

    def run(self) -> None:
        """Work until `stop` is called, then end what runs here."""
        here = self._registration
        logger.info("agent.started host=%s ip=%s pid=%d", here.hostname, here.ip, here.pid)
        self._watch.start()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._place.check()
                try:
                    self.step()
                except (DatabaseError, RedisError) as error:
                    logger.error("agent.step_failed error=%s", error)
                self._wake.wait(STEP_SECONDS)
        finally:
            self._end_all()
            self._place.close()
            self._watch.close()
            self._deregister()
            logger.info("agent.ended host=%s pid=%d", here.hostname, here.pid)

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()
        self._wake.set()

    def step(self) -> None:
        """Compare what is wanted with what runs here, reconcile both, say who is here."""
        close_old_connections()
        try:
            self._reconcile(_wanted_rows())
        finally:
            self._register()
        self._announcer.step()
        self._clear_old_rows()

    def running(self) -> list[str]:
        """Return the names of the exchanges that run here."""
        jobs = [job for job in list(self._jobs.values()) if job.alive]
        return [job.exchange.name for job in jobs if job.run and job.run.instance_id]

    def _reconcile(self, wanted: dict[int, Exchange]) -> None:
        for number, job in list(self._jobs.items()):
            if number not in wanted:
                self._end(number, job)
        for number, row in wanted.items():
            job = self._jobs.setdefault(number, Job(row, TroubleReport(self._redis, row)))
            from_whom = self._whom_to_replace(row) or self._watch.leaving(number) or None
            if job.alive:
                continue
            if row.wanted_at != job.exchange.wanted_at:  # somebody asked again, and waits
                job.delays, job.next_try_at, job.exchange = reconnect_delays(), 0.0, row
                self._watch.look_again(number)
            if self._may_begin(number, job, from_whom):
                job.exchange = row
                self._begin(job, from_whom)
        self._watch.wait_for(n for n, job in self._jobs.items() if not job.alive)

    def _may_begin(self, number: int, job: Job, from_whom: str | None) -> bool:
        """Tell whether to try it: not before it is time to, nor while somebody else keeps it."""
        is_kept = job.held and not from_whom and not self._watch.is_open(number)
        return not is_kept and time.monotonic() >= job.next_try_at

    def _courtesy(self) -> float:
        """Return for how many seconds agents are given a free lock that have less to do."""
        return min(LONGEST_COURTESY_SECONDS, COURTESY_SECONDS * len(self.running()))

    def _whom_to_replace(self, row: Exchange) -> str | None:
        """Return the holder from whom the exchange shall be taken, None where nobody asks that.

        The first agent that obeys gives the lock another holder, which ends the request for all:
        so two agents never take an exchange from each other in turn.
        """
        if not row.take_over_from:
            return None
        holder = ExchangeLock(self._redis, row.pk).holder()
        if _is_soon(row) and holder and holder.instance_id == row.take_over_from:
            return row.take_over_from
        # Only this one: somebody may have asked for another since.
        Exchange.objects.filter(pk=row.pk, take_over_from=row.take_over_from).update(
            take_over_from="", take_over_reason=""
        )
        return None

    def _begin(self, job: Job, from_whom: str | None) -> None:
        if time.monotonic() - job.started_at > GOOD_LIFE_SECONDS:
            job.delays = reconnect_delays()
        job.started_at = time.monotonic()
        job.wait_seconds = STEP_SECONDS + next(job.delays)
        job.next_try_at = job.started_at + job.wait_seconds
        waited, job.held = job.held, False
        if from_whom is None and ExchangeLock(self._redis, job.exchange.pk).holder():
            self._ended(job, Outcome(held=True))  # nothing needs to begin to learn that
            return
        reason = job.exchange.take_over_reason or "it ends there"
        order = Order(from_whom, reason, job.wait_seconds, goes_on=waited)
        try:
            job.run = self._place.begin(job.exchange, order, partial(self._ended, job))
        except Temporary as error:  # there is no room for it now
            logger.error("agent.not_begun exchange=%s error=%s", job.exchange.name, error)
            job.trouble.ended(error, job.wait_seconds)

    def _ended(self, job: Job, outcome: Outcome) -> None:
        """Learn, in any thread, how a run ended: when is it tried again?"""
        if outcome.held:
            job.held, job.next_try_at, job.delays = True, 0.0, reconnect_delays()
            self._watch.look_again(job.exchange.pk)
        elif outcome.wait_seconds is not None:
            job.next_try_at = time.monotonic() + outcome.wait_seconds
        self._wake.set()

    def _clear_old_rows(self) -> None:
        try:
            self._old_rows.step()
        except (DatabaseError, RedisError) as error:
            logger.warning("agent.old_rows_left error=%s", error)

    def _end(self, number: int, job: Job) -> None:
        job.trouble.clear()  # nobody wants it to run any more
        if job.run and job.alive:
            job.run.stop()
        if not job.alive:
            del self._jobs[number]

    def _end_all(self) -> None:
        for job in self._jobs.values():
            if job.run:
                job.run.leave()
        ends_at = time.monotonic() + END_SECONDS + settings.LIVERMORE_HANDOVER_SECONDS
        for job in self._jobs.values():
            if job.run:
                job.run.join(max(0.0, ends_at - time.monotonic()))

    def _register(self) -> None:
        """Say in Redis that this agent is alive; a Redis that is gone ends nothing here."""
        registration = replace(
            self._registration,
            running=tuple(self.running()),
            processes=tuple(self._place.report()),
        )
        try:
            self._registration = register(self._redis, registration)
        except RedisError as error:
            if is_wrong_type(error):
                warn_once(logger, keys.agents(), error)
            else:
                logger.warning("agent.not_registered error=%s", error)

    def _deregister(self) -> None:
        try:
            deregister(self._redis, self._registration.agent_id)
        except RedisError as error:
            logger.warning("agent.not_deregistered error=%s", error)


def _wanted_rows() -> dict[int, Exchange]:
    rows = Exchange.objects.filter(is_active=True, wanted=Exchange.Wanted.RUNNING)
    return {row.pk: row for row in rows.annotate(read_at=Now())}


def _is_soon(row: Exchange) -> bool:
    """Tell whether what is asked of a row was asked just now, by the database's clock alone."""
    return row.wanted_at is not None and row.read_at - row.wanted_at < OLDEST_TAKE_OVER
