"""Who writes down what becomes of exchanges: the oldest agent that is alive, each two seconds."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from django.db.models import Count, Q
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import clip
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State
from exchanges.models import Episode, Exchange
from exchanges.models import EpisodeKind as Kind
from exchanges.models import EpisodeTone as Tone
from exchanges.redis.client import own_client
from exchanges.redis.unreadable import OnceAnHour
from warmup.metrics.completeness import measure
from warmup.network.page.exchange_view import (
    ExchangeRow,
    ExchangeView,
    Schedule,
    read_exchange,
)
from warmup.network.past.episodes import Episodes
from warmup.network.past.facts import Facts, completeness_facts, facts_of, how_it_ended
from warmup.runner.agents import read_agents

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
READ_SECONDS = 2.0
END_SECONDS = 3.0
SECONDS_BETWEEN_ROWS = 10.0
SECONDS_BETWEEN_MEASURES = 60.0  # 6,000 pairs take a tenth of a second
NO_SCHEDULE = Schedule(0, ())  # it is large, and nothing of it is written down


class PastWatch:
    """Writes down, while entered, what becomes of all exchanges, in a thread.

    Of several agents the oldest does; when it dies the next one begins within ten seconds. Where
    none is alive, as beside a single `start`, that one does, of its exchange `only`. Whether Redis
    answers is written too: the episodes are in the database.
    """

    def __init__(
        self,
        redis: Redis,
        agent_id: str = "",
        only: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self._redis = own_client(redis, READ_SECONDS, "past")
        self._agent_id = agent_id
        self._only = only
        self._now = now
        self._episodes = Episodes(only)
        self._is_mine = True
        self._rows: dict[int, ExchangeRow] = {}
        self._rows_read_at = self._next_measure_at = float("-inf")
        self._news = OnceAnHour()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="past", daemon=True)

    def __enter__(self) -> "PastWatch":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Look once more: what ran here has ended by now, and said how."""
        self._ending.set()
        self._thread.join(END_SECONDS)

    def step(self) -> None:
        """Write down what has changed, if that is this one's to do. Raises DatabaseError."""
        if not self._looks():
            self._episodes.forget()
            return
        try:
            self._look_at_all()
        except DatabaseError:  # an exchange may have been deleted
            self._episodes.forget()
            self._rows_read_at = float("-inf")
            raise

    def _looks(self) -> bool:
        """Tell whether this one is to look; where Redis is away, whether it was before."""
        try:
            alive = read_agents(self._redis)
        except RedisError:
            return self._is_mine
        self._is_mine = not alive or alive[0].agent_id == self._agent_id
        return self._is_mine

    def _look_at_all(self) -> None:
        self._read_rows()
        now, views = self._now(), self._views()
        self._episodes.take_up({number: row.exchange for number, row in self._rows.items()}, now)
        now_ms = int(now.timestamp() * 1000)
        is_due = time.monotonic() >= self._next_measure_at
        if is_due:
            self._next_measure_at = time.monotonic() + SECONDS_BETWEEN_MEASURES
        for number, row in self._rows.items():
            view = views.get(number)
            facts = facts_of(row, view, now_ms)
            state = facts[Kind.STATE]
            if state and state.tone == Tone.OFF:
                facts |= {Kind.HOLES: None, Kind.STALE: None}
            elif is_due and view and view.holder and view.status.state is State.ACTIVE:
                facts |= self._measured(row.exchange, view.time_ms(now_ms))
            self._episodes.note(number, facts, now, partial(self._how, number, view, now_ms))
        self._episodes.sign(now)

    def _read_rows(self) -> None:
        if time.monotonic() - self._rows_read_at < SECONDS_BETWEEN_ROWS:
            return
        found = Exchange.objects.filter(is_active=True)
        if self._only is not None:
            found = found.filter(pk=self._only)
        is_monitored = Count("symbols", filter=Q(symbols__is_monitored=True))
        before = self._rows.keys()
        self._rows = {
            row.pk: ExchangeRow(row, ("some",) if row.monitored else (), None)
            for row in found.annotate(monitored=is_monitored)
        }
        if self._rows.keys() != before:
            self._episodes.forget()  # what went on of one that was switched off ends
        self._rows_read_at = time.monotonic()

    def _views(self) -> dict[int, ExchangeView]:
        """Return what Redis says of each exchange, of those of which it says something."""
        found: dict[int, ExchangeView] = {}
        now_ms = int(self._now().timestamp() * 1000)
        for number, row in self._rows.items():
            try:
                found[number] = read_exchange(self._redis, row.exchange, now_ms, NO_SCHEDULE)
            except RedisError:
                break  # each of the others would wait as long for nothing
        return found

    def _measured(self, exchange: Exchange, time_ms: int) -> Facts:
        symbols = list(exchange.symbols.kept_warm().values_list("symbol", flat=True))
        try:
            depth_rows = exchange.depth_rows
            found = measure(self._redis, exchange.pk, symbols, time_ms, depth_rows)
            return completeness_facts(found)
        except (RedisError, ValueError):
            return {}

    def _how(
        self, exchange_id: int, view: ExchangeView | None, now_ms: int, run: Episode
    ) -> tuple[str, int | None]:
        try:
            replaced = ExchangeLock(self._redis, exchange_id).replaced()
        except RedisError:
            replaced = None
        return how_it_ended(view, run.run_id, replaced, now_ms)

    def _run(self) -> None:
        with closing(self._redis):
            try:
                self._try()
                while not self._ending.wait(LOOK_SECONDS):
                    self._try()
                self._try()
            finally:
                connections.close_all()

    def _try(self) -> None:
        close_old_connections()
        try:
            self.step()
        except DatabaseError as error:
            if self._news.is_news("database", text := clip(str(error))):
                logger.warning("past.not_written error=%s", text)
        except Exception as error:  # the next look may find something else
            if self._news.is_news("fault", str(error)):
                logger.exception("past.failed")
