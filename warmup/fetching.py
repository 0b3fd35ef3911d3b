"""Many pairs at once: one that fails never stops the others, unless nothing can be done at all."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from redis.exceptions import RedisError

from exchanges.daemon_threads import Workers
from exchanges.errors import (
    BadCredentials,
    Banned,
    Blocked,
    LivermoreError,
    Misconfigured,
    Paused,
    Temporary,
    TurnedAway,
    Unreachable,
)
from exchanges.lock.fencing import Fenced
from exchanges.redis.unreadable import Unreadable
from exchanges.rest.base import VenueRest
from exchanges.rest.reply import Candles
from livermore.market.coverage import Coverage, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.set_aside import SetAside
from warmup.cache.unconfirmed import Rules

logger = logging.getLogger(__name__)


class PairJob(Protocol):
    """Anything that is to be done for one pair."""

    @property
    def symbol(self) -> str: ...

    @property
    def timeframe(self) -> Timeframe: ...


Job = TypeVar("Job", bound=PairJob)
Result = TypeVar("Result")
Outcome = tuple[Job, Result | None, LivermoreError | None]

FAILURES_IN_A_ROW = 10
SECONDS_BETWEEN_LOOKS = 0.5
# Whatever the pair, the next one would meet the same.
HOPELESS = (
    Banned, Paused, TurnedAway, Blocked, BadCredentials, Misconfigured, Fenced, RedisError,
)  # fmt: skip


def run_all(
    rest: VenueRest,
    jobs: Sequence[Job],
    work: Callable[[Job], Result],
    *,
    batch_size: int | None = None,
    batch_delay_seconds: float = 0,
    at_once: int | None = None,
) -> Iterator[Outcome]:
    """Yield `(job, result, error)` of each job as it ends; one of the two is None.

    As many jobs run at once as the exchange takes; or where `batch_size` is given so many, and
    when they have ended a pause; or where `at_once` is given no more than so many, those among them
    that have ended and were not yielded yet. Where no further job could succeed (banned, paused,
    turned away, blocked, refused key, Redis gone, a whole round of jobs without an answer) that
    error is raised, `rest` is closed for good and no further job is begun; the same when the caller
    stops.
    """
    if not jobs:
        return
    rest.clock.now_ms()  # an exchange that can't be reached says so here, once
    size = batch_size or len(jobs)
    failures_in_a_row = 0
    workers = Workers(rest.workers, "fetch")
    try:
        for begin in range(0, len(jobs), size):
            if begin:
                rest.client.pacer.sleep(batch_delay_seconds)
            batch = _Batch(workers, jobs[begin : begin + size], work)
            batch.start(at_once or size)
            while batch.running:
                future = _next(rest, batch.ended)
                job, raised = batch.running.pop(future), future.exception()
                error = _of_one_pair(raised) if raised else None
                batch.start(1)
                if error is None:
                    failures_in_a_row = 0
                    yield job, future.result(), None
                    continue
                logger.warning(
                    "fetch.pair_failed exchange=%d symbol=%s timeframe=%s error=%s",
                    *(rest.exchange_id, job.symbol, job.timeframe, error),
                )
                yield job, None, error
                failures_in_a_row += isinstance(error, Temporary)
                if failures_in_a_row >= max(rest.workers, FAILURES_IN_A_ROW):
                    text = f"gave up after so many failures in a row: {error}"
                    raise Unreachable(text) from error
    except BaseException:
        rest.close()  # wakes those who wait for their turn
        raise
    finally:
        workers.close()


class _Batch(Generic[Job]):
    """Jobs of which some are under way, by what they will end with."""

    def __init__(self, workers: Workers, jobs: Iterable[Job], work: Callable[[Job], Any]):
        self._workers = workers
        self._waiting = iter(jobs)
        self._work = work
        self.running: dict[Future, Job] = {}
        self.ended: SimpleQueue[Future] = SimpleQueue()

    def start(self, count: int) -> None:
        """Let so many more begin, if there are any."""
        for job in islice(self._waiting, count):
            future = self._workers.submit(self._work, job)
            self.running[future] = job
            future.add_done_callback(self.ended.put)


def _next(rest: VenueRest, ended: SimpleQueue[Future]) -> Future:
    """Return what ended next; Temporary once `rest` was closed, whatever still hangs."""
    while True:
        rest.client.pacer.sleep(0)
        with suppress(Empty):
            return ended.get(timeout=SECONDS_BETWEEN_LOOKS)


def _of_one_pair(error: BaseException) -> LivermoreError:
    """Return a failure that concerns its pair alone; what all would meet is raised."""
    is_shared = isinstance(error, Unreadable) and not isinstance(error, SetAside)
    if is_shared or isinstance(error, HOPELESS) or not isinstance(error, LivermoreError):
        raise error
    return error


class Fetcher:
    """Brings candles of some pairs from an exchange into the cache, with what they prove.

    It knows what was there when it was made, and what it has fetched since.
    """

    def __init__(self, rest: VenueRest, cache: CandleCache, pairs: Iterable[PairJob]):
        self._rest = rest
        self._cache = cache
        self._rules = Rules(rest.quiet_bars, rest.lag_ms)
        wanted = list(dict.fromkeys(Pair(each.symbol, each.timeframe) for each in pairs))
        summaries = dict(zip(wanted, cache.summaries(wanted), strict=True))
        self._covered = {pair: summary.known for pair, summary in summaries.items()}
        self._aside = {pair: summary.aside for pair, summary in summaries.items() if summary.aside}
        self._unconfirmed = set(cache.unconfirmed())

    def fetch(self, job: PairJob, **window: Any) -> Candles:
        """Fetch a pair's candles; `window` is what `get_candles` takes.

        Raises SetAside, without a call, where they could not be written.
        """
        pair = Pair(job.symbol, job.timeframe)
        if why := self._aside.get(pair):
            raise SetAside(why)
        candles = self._rest.get_candles(*pair, **window)
        if candles.refused:
            logger.warning(
                "candles.refused exchange=%d symbol=%s timeframe=%s count=%d first=%s",
                *(self._rest.exchange_id, *pair, len(candles.refused), candles.refused[0]),
            )
        covered = candles.covered
        if pair in self._unconfirmed or candles.leaves_open:
            self._unconfirmed.add(pair)
            now_ms = self._rest.clock.now_ms()
            covered = self._cache.learn(pair, candles, self._covered[pair], self._rules, now_ms)
        self._cache.write(*pair, candles, covered)
        self._covered[pair] = union([*self._covered[pair], *covered])
        return candles


def failure(pair: PairJob, error: Exception) -> dict[str, str]:
    """Return what is told and stored of a pair that failed."""
    return _of(pair) | {"error": str(error)}


def _of(pair: PairJob) -> dict[str, str]:
    return {"symbol": pair.symbol, "timeframe": pair.timeframe}


@dataclass(slots=True)
class FetchReport:
    """What a repair or a backfill did: pairs repaired by how many answers, and what failed.

    `left` has an object for each stretch whose row was refused, which is asked for again later,
    `too_old` one for each that lacks candles and of which the exchange tells no more.
    `open_bars` has one for each open bar that was asked for too: since when it is open, its row,
    None where it has none yet, and how many ms after the report was begun that was not known yet.
    """

    pairs: int = 0
    ranges: int = 0
    candles: int = 0
    refused: int = 0
    left: list[dict[str, Any]] = field(default_factory=list)
    too_old: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    open_bars: list[dict[str, Any]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def add(self, pair: PairJob, answers: list[Candles] | None, error: Exception | None) -> None:
        """Count a pair by its outcome."""
        if error:
            self.failures.append(failure(pair, error))
            return
        assert answers is not None  # one of the two is
        self.pairs += 1
        self.ranges += len(answers)
        self.candles += sum(len(answer) for answer in answers)
        self.refused += sum(len(answer.refused) for answer in answers)
        self.left += [
            {
                "symbol": pair.symbol,
                "timeframe": pair.timeframe,
                "from": start,
                "to": end,
                "reason": reason,
            }
            for answer in answers
            for start, end, reason in answer.refusals
        ]
        for answer in answers:
            self.add_too_old(pair, answer.too_old)
        self.open_bars += [
            {
                "symbol": pair.symbol,
                "timeframe": pair.timeframe,
                "from": answer.open_ms,
                "row": answer.open_candle and answer.open_candle.row(),
                "afterMs": int(1000 * (answer.asked_at - self.began)),
            }
            for answer in answers
            if answer.open_ms is not None
        ]

    def add_too_old(self, pair: PairJob, lost: Coverage) -> None:
        """Note what a pair lacks and can't have."""
        self.too_old += [_of(pair) | {"from": start, "to": end} for start, end in lost]

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "pairs": self.pairs,
            "ranges": self.ranges,
            "candles": self.candles,
            "refusedCandles": self.refused,
            "left": self.left,
            "tooOld": self.too_old,
            "failures": self.failures,
        }
