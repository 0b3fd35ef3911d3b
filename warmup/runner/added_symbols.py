"""The history of symbols that came while an exchange is live, fetched beside everything else."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from redis import Redis
from redis.exceptions import RedisError

from exchanges.daemon_threads import Workers
from exchanges.errors import LivermoreError, Temporary
from exchanges.lock.fencing import Fenced
from exchanges.rest.base import VenueRest
from exchanges.rest.reply import Candles
from exchanges.transport.backoff import reconnect_delays
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import LONGEST_FIRST
from warmup.cache.candles import CandleCache
from warmup.fetching import Fetcher, FetchReport, PairJob, run_all
from warmup.repair import CandleRepair
from warmup.scanner import DEFAULT_CANDLE_TARGET, CandleStatusScanner

logger = logging.getLogger(__name__)

SYMBOLS_AT_ONCE = 50
REPAIRS_TRIED = 5  # then what is missing is left to whoever repairs by hand


@dataclass(slots=True)
class Progress:
    """How far the history of some symbols is: `left` lack it, for the reason that `trouble` says.

    `trouble` is empty where nothing went wrong yet.
    """

    total: int  # pairs
    left: set[str]
    seen: set[Pair] = field(default_factory=set)
    report: FetchReport = field(default_factory=FetchReport)
    trouble: str = ""

    @property
    def done(self) -> int:
        """Return how many pairs have what they can have."""
        return len(self.seen)


class HistoryFetcher:
    """Fetches what symbols lack as a warmup and a repair would, in a thread while any do.

    What can't be fetched now, because the exchange refuses or is away, is tried again, less and
    less often, up to a minute apart. What closes from where the cache's knowledge of a pair ends is
    left to the stream, which tells it.
    """

    def __init__(
        self,
        redis: Redis,
        exchange_id: int,
        open_rest: Callable[[], VenueRest],
        epoch: int,
        final_until: Callable[[Pair], int | None],
        on_write: Callable[[Pair], None],
        on_idle: Callable[[], object] = lambda: None,
    ):
        """`final_until` and `on_write` are those of a CandleCache.

        `on_idle` is called when nothing is left to fetch.
        """
        self.fetching: tuple[str, ...] = ()  # the symbols under way
        self.trouble = ""
        self._redis = redis
        self._exchange_id = exchange_id
        self._open_rest = open_rest
        self._final_until = final_until
        self._known_until: dict[Pair, int] = {}
        self._cache = CandleCache(redis, exchange_id, epoch, self._until, on_write)
        self._lock = threading.Lock()
        self._waiting: dict[str, None] = {}  # in the order they came
        self._in_progress: list[Progress] = []
        self._repairs: Counter[str] = Counter()  # those that failed, by symbol
        self._stopping = threading.Event()
        self._rest: VenueRest | None = None
        self._workers = Workers(1, "history", on_idle=on_idle)

    def close(self) -> None:
        """Break off what is under way."""
        self._stopping.set()
        if rest := self._rest:
            rest.close()
        self._workers.close()
        self._workers.join(1)

    def want(self, symbols: Iterable[str]) -> Progress:
        """Fetch what these lack, as soon as that can be done; return how far it is."""
        symbols = list(symbols)
        progress = Progress(len(symbols) * len(LONGEST_FIRST), set(symbols))
        with self._lock:
            self._waiting |= dict.fromkeys(symbols)
            self._in_progress.append(progress)
        self._workers.submit(self._run)
        return progress

    def leave(self, symbols: Collection[str]) -> None:
        """Fetch nothing more of these."""
        with self._lock:
            self._settle(symbols)

    def waiting(self) -> list[str]:
        """Return the symbols whose history is not there yet."""
        with self._lock:
            return list(self._waiting)

    # -- the thread

    def _run(self) -> None:
        delays = reconnect_delays()
        try:
            while not self._stopping.is_set() and (symbols := self._next()):
                if self._take_turn(symbols):
                    delays = reconnect_delays()
                else:
                    self._stopping.wait(next(delays))
        except Fenced:
            self._stopping.set()  # the runner learns it from its lease
        finally:
            connections.close_all()

    def _next(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(islice(self._waiting, SYMBOLS_AT_ONCE))

    def _take_turn(self, symbols: tuple[str, ...]) -> bool:
        """Fetch what these lack; return whether that helped."""
        self.fetching = symbols
        try:
            close_old_connections()
            failed, why = self._fetch(symbols)
        except Fenced:
            raise
        except (LivermoreError, RedisError, DatabaseError) as error:
            failed, why = set(symbols), str(error)
        except Exception as error:
            logger.exception("history.died exchange=%d", self._exchange_id)
            failed, why = set(symbols), str(error)
        self.fetching = ()
        if not self._stopping.is_set():
            self._note([symbol for symbol in symbols if symbol not in failed], failed, why)
        return len(failed) < len(symbols)

    def _note(self, done: Collection[str], failed: Collection[str], why: str) -> None:
        if why and why != self.trouble:
            logger.warning(
                "history.waiting exchange=%d symbols=%d error=%s",
                *(self._exchange_id, len(failed), why),
            )
        with self._lock:
            self.trouble = why
            self._settle(done)
            for symbol in failed:
                if symbol in self._waiting:  # behind those that were not tried yet
                    del self._waiting[symbol]
                    self._waiting[symbol] = None
            for progress in self._in_progress:
                if not progress.left.isdisjoint(failed):
                    progress.trouble = why

    def _settle(self, symbols: Collection[str]) -> None:
        for symbol in symbols:
            self._waiting.pop(symbol, None)
            del self._repairs[symbol]
        for progress in self._in_progress:
            progress.left.difference_update(symbols)
        self._in_progress = [progress for progress in self._in_progress if progress.left]

    def _fetch(self, symbols: Collection[str]) -> tuple[set[str], str]:
        """Fetch what symbols lack; return those to be tried again, and why."""
        failed: dict[str, str] = {}
        with closing(self._open_rest()) as rest:
            self._rest = rest
            try:
                for pair, answers, error in self._outcomes(rest, symbols):
                    if isinstance(error, Temporary):
                        failed[pair.symbol] = str(error)
                    else:
                        self._count(pair, answers, error)
                whole = [symbol for symbol in symbols if symbol not in failed]
                failed |= self._repair(rest, whole)
            finally:
                self._rest = None
        return set(failed), next(iter(failed.values()), "")

    def _repair(self, rest: VenueRest, symbols: Collection[str]) -> dict[str, str]:
        """Fetch what is missing in the middle; return those to be tried again, and why."""
        repair = CandleRepair(self._redis, self._exchange_id, rest, cache=self._cache)
        report = repair.repair(list(symbols), holes_only=True)
        errors = {failure["symbol"]: failure["error"] for failure in report.failures}
        self._repairs.update(errors.keys())
        return {s: text for s, text in errors.items() if self._repairs[s] < REPAIRS_TRIED}

    def _outcomes(self, rest: VenueRest, symbols: Collection[str]):
        pairs = pairs_of(symbols)
        states = self._cache.states(pairs)
        self._known_until = {
            pair: state.coverage[-1][1]
            for pair, state in zip(pairs, states, strict=True)
            if state.coverage
        }
        scan = CandleStatusScanner(self._redis, self._exchange_id).scan_exchange(list(symbols))
        for result in scan:
            if not result.needs_fetching:
                self._count(result, [], None, fetched=False)
        short = [result for result in scan if result.needs_fetching]
        fetcher = Fetcher(rest, self._cache, short)
        return run_all(rest, short, lambda pair: [fetcher.fetch(pair, limit=DEFAULT_CANDLE_TARGET)])

    def _until(self, pair: Pair) -> int | None:
        """Return from where on the stream tells what closes: that is not ours to write."""
        until_ms = self._final_until(pair)
        return self._known_until.get(pair) if until_ms is None else until_ms

    def _count(
        self,
        pair: PairJob,
        answers: list[Candles] | None,
        error: Exception | None,
        fetched: bool = True,
    ) -> None:
        name = Pair(pair.symbol, pair.timeframe)
        with self._lock:
            for progress in self._in_progress:
                if pair.symbol in progress.left and name not in progress.seen:
                    progress.seen.add(name)
                    if fetched:
                        progress.report.add(pair, answers, error)
