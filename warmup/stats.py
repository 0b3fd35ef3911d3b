"""How far a warmup is: kept by the run, published to Redis while it goes on."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.fencing import SET_AND_PUBLISH, Fenced, refusals, stamp
from exchanges.redis.change_notifications import changed
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from warmup.fetching import failure
from warmup.schedule import WarmupSchedule, WarmupScheduleEntry

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 0.06  # about 16 a second while pairs complete
LONGEST_SILENCE_SECONDS = 1.0  # readers tell a run that waits from one that died by `updatedAt`
PAIRS_IN_RATE = 64
PAIRS_BEFORE_RATE = 3


class Status(StrEnum):
    SCANNING = "scanning"
    EXECUTING = "executing"
    COMPLETE = "complete"
    ERROR = "error"


class WarmupStats:
    """The progress of one warmup. Any thread may read it while another writes.

    `completed` pairs were fetched, `skipped` ones were not needed, `failed` ones gave an error.
    """

    def __init__(self, exchange_id: int, pacing_seconds: Callable[[int], float] = lambda pairs: 0):
        """`pacing_seconds(pairs)` says how long so many pairs take at the least."""
        self.exchange_id = exchange_id
        self.status = Status.SCANNING
        self.total = self.completed = self.skipped = self.failed = self.refused = 0
        self.failures: list[dict[str, str]] = []
        self.error: str | None = None
        self._pacing_seconds = pacing_seconds
        self._current: tuple[str, Timeframe] | None = None
        self._started_at = time.time()
        self._done_at: deque[float] = deque(maxlen=PAIRS_IN_RATE)
        self._lock = threading.RLock()

    @property
    def current(self) -> tuple[str, Timeframe] | None:
        """Return the pair that was begun last, None before and after the run."""
        return self._current

    @property
    def processed(self) -> int:
        """Return how many pairs are done, well or badly."""
        return self.completed + self.failed

    @property
    def percent(self) -> float:
        """Return how much is done; 100 where nothing was to do."""
        if self.status is Status.COMPLETE:
            return 100.0
        return round(100 * self.processed / self.total, 1) if self.total else 0.0

    @property
    def seconds(self) -> float:
        """Return how long ago the run began."""
        return time.time() - self._started_at

    def begin(self, schedule: WarmupSchedule) -> None:
        """Take over what is to be done."""
        with self._lock:
            self.total = schedule.needs_fetching
            self.skipped = schedule.sufficient_pairs
            self.status = Status.EXECUTING
            self._done_at.append(time.monotonic())

    def work_on(self, entry: WarmupScheduleEntry) -> None:
        """Name the pair that was begun last."""
        with self._lock:
            self._current = (entry.symbol, entry.timeframe)

    def pair_completed(self, refused: int = 0) -> None:
        """Count a pair as fetched, with so many rows of it refused."""
        with self._lock:
            self.completed += 1
            self.refused += refused
            self._done_at.append(time.monotonic())

    def pair_failed(self, entry: WarmupScheduleEntry, error: Exception) -> None:
        """Count a pair as failed, with its error."""
        with self._lock:
            self.failed += 1
            self.failures.append(failure(entry, error))
            self._done_at.append(time.monotonic())

    def finish(self, error: str | None = None) -> None:
        """End the run: complete, or in the error that stopped all of it."""
        with self._lock:
            self.status = Status.COMPLETE if error is None else Status.ERROR
            self.error = error
            self._current = None

    def rate(self) -> float | None:
        """Return pairs per second over the last ones, None until there is enough to tell."""
        with self._lock:
            elapsed = time.monotonic() - self._done_at[0] if self._done_at else 0
            if self.processed < PAIRS_BEFORE_RATE or elapsed <= 0:
                return None
            return (len(self._done_at) - 1) / elapsed

    def eta_seconds(self) -> float | None:
        """Return how long the rest will take: at the rate so far, and as pacing allows."""
        with self._lock:
            if self.status is Status.COMPLETE:
                return 0.0
            rate = self.rate()
            if self.status is not Status.EXECUTING or not rate:
                return None
            left = self.total - self.processed
            return max(left / rate, self._pacing_seconds(left))

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        with self._lock:
            eta = self.eta_seconds()
            symbol, timeframe = self._current or (None, None)
            return {
                "exchangeId": self.exchange_id,
                "status": self.status,
                "startedAt": int(self._started_at * 1000),
                "updatedAt": int(time.time() * 1000),
                "totalPairs": self.total,
                "completedPairs": self.completed,
                "skippedPairs": self.skipped,
                "failedPairs": self.failed,
                "percentComplete": self.percent,
                "etaMs": None if eta is None else round(eta * 1000),
                "pairsPerSecond": self.rate(),
                "currentSymbol": symbol,
                "currentTimeframe": timeframe,
                "failures": list(self.failures),
                "refusedCandles": self.refused,
                "error": self.error,
            }


class WarmupStatsPublisher:
    """Writes the stats to Redis from a thread of its own, for as long as the `with` block lasts.

    `changed()` asks for a write soon; the last state is written when the block ends. `on_publish`
    is called in that thread after each write. `epoch` is that of a lease: entering and leaving the
    block raise Fenced where somebody else has the exchange by now.
    """

    def __init__(
        self,
        redis: Redis,
        stats: WarmupStats,
        on_publish: Callable[[WarmupStats], None] = lambda stats: None,
        epoch: int | None = None,
    ):
        self._stats = stats
        self._epoch = stamp(epoch)
        self._set_and_publish = SET_AND_PUBLISH.on(redis)
        self._told: Status | None = None
        self._on_publish = on_publish
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warmup-stats", daemon=True)

    def __enter__(self) -> "WarmupStatsPublisher":
        self.write()
        self._thread.start()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self._stopping.set()
        self._changed.set()
        self._thread.join()
        try:
            self.write()
        except (Fenced, RedisError):
            if error is None:
                raise
        self._show()

    def changed(self) -> None:
        """Ask for the stats to be written at the next occasion."""
        self._changed.set()

    def write(self) -> None:
        """Write the stats as they are now. Raises Fenced, and RedisError."""
        number, stats = self._stats.exchange_id, self._stats.as_json()
        # Who shows it need not hurry for numbers that go on.
        told = changed(number, "stats" if stats["status"] is self._told else "status")
        with refusals():
            self._set_and_publish(
                keys=[keys.warmup_stats(number), keys.epoch(number), keys.lock(number)],
                args=[self._epoch, orjson.dumps(stats), *told],
            )
        self._told = stats["status"]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait(LONGEST_SILENCE_SECONDS)
            self._changed.clear()
            try:
                self.write()
            except (Fenced, RedisError) as error:  # the run meets it at its next write and ends
                logger.warning("warmup.stats_not_written error=%s", error)
            self._show()
            self._stopping.wait(SECONDS_BETWEEN)

    def _show(self) -> None:
        try:
            self._on_publish(self._stats)
        except (OSError, ValueError) as error:  # a terminal that was closed ends no warmup
            logger.warning("warmup.not_shown error=%s", error)
