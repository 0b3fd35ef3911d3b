"""One exchange's history, continued round by round; a round takes up what the one before left."""

import logging
import threading
import time
from contextlib import ExitStack, closing

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.adapters import open_rest
from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from exchanges.transport.backoff import reconnect_delays
from history.archives.opening import open_archives
from history.filling import FillReport, HistoryFilling
from history.following.copying import CacheCopying, time_now_ms
from history.following.kept import Kept, kept_of
from history.following.news import EventNews
from history.models import KeptHistory
from history.places.place import configured_place
from history.planning.jobs import due
from history.store.store import HistoryStore
from history.turn import Turn, TurnTaken
from livermore.market.coverage import missing, oldest_told_ms
from livermore.market.pair import pairs_of

logger = logging.getLogger(__name__)

LEFT_TO_CACHE_MS = 3_600_000  # what ended since then whoever runs the exchange has, or fetches
SECONDS_BETWEEN_COMPARISONS = 86_400.0
SECONDS_UNTIL_TURN = 10.0


class HistoryFollower:
    """Continues the history of one exchange until it is told to stop, in a thread that it starts.

    A round copies from the cache what is new, and fetches what the cache doesn't hold and is due.
    Whose turn it is does it: of several processes each takes up what the others left.
    """

    def __init__(self, redis: Redis, exchange: Exchange):
        self._redis = redis
        self._exchange = exchange
        self._stopping = threading.Event()
        self._news = EventNews(redis, exchange.pk)
        self._copying = CacheCopying(redis, exchange.pk, self._stopping.is_set)
        self._rest: VenueRest | None = None
        self._is_waiting = False
        self._compare_at = self._copy_at = 0.0  # monotonic; when to, at the latest
        # What it writes when the process ends is whole or not there.
        name = f"history-{exchange.pk}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it end as soon as it has written what it writes now; returns at once."""
        self._stopping.set()
        if rest := self._rest:
            rest.close()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def step(self) -> None:
        """Do a round. Raises TurnTaken where another process is at it, and what may go wrong."""
        row = KeptHistory.objects.select_related("exchange").get(exchange=self._exchange)
        kept = kept_of(row)
        with Turn(self._redis, self._exchange) as turn:
            store = HistoryStore(configured_place(), self._exchange, may_write=turn.check)
            store.warn_of_another_place()
            self._copy(store, kept)
            if not self._stopping.is_set():
                self._fill(store, kept)

    def _run(self) -> None:
        delays = reconnect_delays()
        try:
            while not self._stopping.is_set():
                began, wait = time.monotonic(), settings.LIVERMORE_HISTORY_SECONDS
                close_old_connections()
                try:
                    self.step()
                    delays, self._is_waiting = reconnect_delays(), False
                    wait -= time.monotonic() - began
                except TurnTaken as error:
                    self._say_that_it_waits(error)
                    wait = min(wait, SECONDS_UNTIL_TURN)
                except (LivermoreError, RedisError, DatabaseError) as error:
                    if not self._stopping.is_set():
                        name = self._exchange.name
                        logger.warning("history.round_failed exchange=%s error=%s", name, error)
                    wait = min(wait, next(delays))
                except Exception:
                    logger.exception("history.fault exchange=%s", self._exchange.name)
                    wait = min(wait, next(delays))
                self._stopping.wait(max(0.0, wait))
        finally:
            connections.close_all()

    def _say_that_it_waits(self, error: TurnTaken) -> None:
        if not self._is_waiting:
            logger.warning("history.turn_taken exchange=%s error=%s", self._exchange.name, error)
        self._is_waiting = True

    def _copy(self, store: HistoryStore, kept: Kept) -> None:
        began = time.monotonic()
        news = self._news.read()
        if began >= self._compare_at:
            news.is_gap = True
        if news.is_gap:
            self._compare_at = 0.0  # until it is done
        copied = self._copying.copy(store, kept, news)
        self._copy_at = time.monotonic() + settings.LIVERMORE_HISTORY_SECONDS
        if not copied.is_whole:
            return
        self._news.acknowledge(news)
        if news.is_gap:
            self._compare_at = began + SECONDS_BETWEEN_COMPARISONS
        logger.info(
            "history.round exchange=%s pairs=%d compared_all=%d seconds=%.1f",
            self._exchange.name, copied.pairs, news.is_gap, time.monotonic() - began,
        )  # fmt: skip

    def _fill(self, store: HistoryStore, kept: Kept) -> None:
        """Fetch what the cache doesn't hold and nobody else fetches; copy beside it, when due."""
        if not (lacking := self._lacking(store, kept)):
            return
        symbols, end_ms = lacking

        def on_job(done: int, total: int, report: FillReport) -> None:
            if time.monotonic() >= self._copy_at:
                self._copy(store, kept)

        stretch = (kept.since_ms, end_ms)
        with closing(open_rest(self._exchange)) as self._rest, ExitStack() as opened:
            archives = open_archives(self._exchange, self._rest, stretch, always=False)
            if archives:
                opened.enter_context(closing(archives))
            filling = HistoryFilling(store, self._rest, symbols, kept.timeframes, stretch, archives)
            if self._stopping.is_set():
                return
            report = filling.fill(on_job)
        logger.info(
            "history.filled exchange=%s candles=%d calls=%d failed=%d",
            self._exchange.name, report.candles, report.calls, len(report.failures),
        )  # fmt: skip

    def _lacking(self, store: HistoryStore, kept: Kept) -> tuple[list[str], int] | None:
        """Return which symbols lack what may be asked for now, and up to when; None: none does."""
        rows = self._exchange.symbols.trading().filter(symbol__in=kept.symbols)
        trading = set(rows.values_list("symbol", flat=True))
        now_ms, known = time_now_ms(self._redis, self._exchange.pk), store.coverages()
        end_ms = now_ms - LEFT_TO_CACHE_MS
        found = set()
        for pair in pairs_of([each for each in kept.symbols if each in trading], kept.timeframes):
            covered, open_still = known.get(pair, ((), ()))
            start_ms, until_ms = map(pair.timeframe.ceil, (kept.since_ms, end_ms))
            told_ms = oldest_told_ms(pair.timeframe, now_ms, self._exchange.depth_rows)
            within = max(start_ms, told_ms), min(until_ms, pair.timeframe.floor(now_ms))
            if due(missing(covered, *within), open_still, within, now_ms):
                found.add(pair.symbol)
        return ([each for each in kept.symbols if each in found], end_ms) if found else None
