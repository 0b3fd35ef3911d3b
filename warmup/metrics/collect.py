"""What Prometheus is told of every active exchange: read from Redis, whichever machine runs it."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
from django.db import Error as DatabaseError
from django.db.models import Count
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from exchanges.errors import clip
from exchanges.lock.acquire import TTL_MS
from exchanges.lock.status import STATUS_TTL_MS, State, Status
from exchanges.models import Exchange, Symbol
from exchanges.redis.client import is_cluster
from exchanges.redis.unreadable import OnceAnHour
from exchanges.rest.pacing.host import host_of
from exchanges.rest.pacing.usage import Usage, read_usage
from livermore.market import keys
from warmup.metrics.completeness import ByTimeframe, Completeness, Measured, measure
from warmup.metrics.exposition import Scrape
from warmup.metrics.redis_server import read_memories, refusal
from warmup.runner.agents import Registration, read_agents
from warmup.stats import Status as WarmupStatus

logger = logging.getLogger(__name__)

ALIVE = (State.STARTING, State.WARMING, State.ACTIVE, State.STOPPING)
SECONDS_DESPITE_FAULTS = 2.0
FRESH_SECONDS = TTL_MS / 1000  # whoever said nothing for so long has lost the lock
OF_STREAM = {  # by the name of the detail of the status
    "frames_total": "frames",
    "frames_per_second": "framesPerSecond",
    "frames_lost_total": "lost",
    "connections": "connections",
    "connections_silent": "silent",
    "reconnects_total": "reconnects",
    "closes_total": "closes",
    "closes_healed_total": "healed",
    "closes_late_total": "late",
    "closes_pending": "pendingCloses",
    "pairs_healing": "healing",
    "pairs_polled": "polled",
    "flush_failures_total": "flushFailures",
    "symbols_unfetched": "historiesWaiting",
}


class ExchangeCollector(Collector):
    """Reads what there is to tell when a registry asks for it.

    `measured` and `said` outlive a scrape: what was measured, and which faults are in the log.
    """

    def __init__(
        self, redis: Redis, measured: Measured, version: str = "", news: OnceAnHour | None = None
    ):
        self._news = news or OnceAnHour()
        self._redis = redis
        self._version = version
        self._measured = measured

    def collect(self) -> Iterable[Metric]:
        scrape = Scrape()
        scrape.put("build_info", 1, self._version)
        up = dict.fromkeys(("database_up", "redis_up"), True)
        exchanges: list[Exchange] = []
        try:
            exchanges += Exchange.objects.filter(is_active=True)
        except DatabaseError:
            up["database_up"] = False
        for exchange in exchanges:
            wanted = exchange.wanted == Exchange.Wanted.RUNNING
            scrape.put("exchange_wanted", wanted, exchange.name)
        try:
            for exchange in exchanges:
                with self._readable(exchange.name, "symbols"):
                    put_symbols(scrape, exchange)
                with self._readable(exchange.name, "audit"):
                    put_audit(scrape, exchange)
            up["redis_up"] = self._read_redis(scrape, exchanges)
        except DatabaseError:
            up["database_up"] = False
        for name, answered in up.items():
            scrape.put(name, answered)
        return scrape.families.values()

    def _read_redis(self, scrape: Scrape, exchanges: Sequence[Exchange]) -> bool:
        """Put what Redis tells; return whether all of it answered.

        Of a Cluster the exchanges on other nodes are told, as long as there is time.
        """
        ends_at = time.monotonic() + SECONDS_DESPITE_FAULTS
        answered = True
        readers: list[Callable[[], Any]] = [
            self._redis.ping,
            partial(self._read_server, scrape),
            partial(self._read_agents, scrape),
            *(partial(self._read, scrape, each) for each in exchanges),
        ]
        for read in readers:
            try:
                read()
            except RedisError:
                answered = False
                if not is_cluster(self._redis) or time.monotonic() > ends_at:
                    break
        return answered

    def _read_server(self, scrape: Scrape) -> None:
        with self._readable("", "server"):
            put_server(scrape, self._redis)

    def _read_agents(self, scrape: Scrape) -> None:
        with self._readable("", "agents"):
            put_agents(scrape, read_agents(self._redis))

    def _read(self, scrape: Scrape, exchange: Exchange) -> None:
        with self._readable(exchange.name, "all"):
            self._read_exchange(scrape, exchange)

    def _read_exchange(self, scrape: Scrape, exchange: Exchange) -> None:
        number, name = exchange.pk, exchange.name
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(keys.status(number))
        pipe.pttl(keys.status(number))
        pipe.exists(keys.lock(number))
        pipe.get(keys.epoch(number))
        pipe.get(keys.warmup_stats(number))
        text, left_ms, held, epoch, stats = pipe.execute(raise_on_error=False)
        status, age = Status(State.OFFLINE), None
        with self._readable(name, "status"):
            status = Status.from_json(text)
            # By Redis's clock: that of the machine which wrote the heartbeat may be wrong.
            age = (STATUS_TTL_MS - left_ms) / 1000 if left_ms >= 0 else None
        put_status(scrape, name, status, age)
        if is_up(status, age):
            with self._readable(name, "stream"):
                put_stream(scrape, name, status.details, age or 0.0)
        with self._readable(name, "lock"):
            scrape.put("lock_held", held, name)
            scrape.put("lock_epoch", epoch, name)
        with self._readable(name, "pacing"):
            put_usage(scrape, name, read_usage(self._redis, host_of(exchange.rest_url)))
        if stats:
            with self._readable(name, "warmup"):
                put_warmup(scrape, name, orjson.loads(stats))
        with self._readable(name, "completeness"):
            found = self._measured.of(number, lambda: self._complete(exchange, status, age or 0.0))
            for timeframe, complete in found.items():
                put_completeness(scrape, (name, timeframe), complete)

    def _complete(self, exchange: Exchange, status: Status, age: float) -> ByTimeframe:
        symbols = list(exchange.symbols.kept_warm().values_list("symbol", flat=True))
        told_ms = status.exchange_time_ms(int(1000 * age))
        now_ms = int(1000 * time.time()) if told_ms is None else told_ms
        return measure(self._redis, exchange.pk, symbols, now_ms, exchange.depth_rows)

    @contextmanager
    def _readable(self, name: str, what: str) -> Iterator[None]:
        """Let what can't be read be missing alone: all the rest is to be told."""
        try:
            yield
        except (ResponseError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._note(name, what, error)
        except (RedisError, DatabaseError):
            raise
        except Exception as error:  # a fault of ours is no reason to tell nothing of all others
            self._note(name, what, error, exc_info=error)

    def _note(
        self, name: str, what: str, error: Exception, exc_info: Exception | None = None
    ) -> None:
        text = clip(f"{type(error).__name__}: {error}")
        if self._news.is_news(f"{name} {what}", text):
            logger.warning(
                "metrics.unreadable exchange=%s what=%s error=%s",
                *(name, what, text),
                exc_info=exc_info,
            )


def is_up(status: Status, age: float | None) -> bool:
    """Tell whether a runner has it, and said so `age` seconds ago; None: nobody knows when."""
    return age is not None and age <= FRESH_SECONDS and status.state in ALIVE


def put_symbols(scrape: Scrape, exchange: Exchange) -> None:
    """Put how many monitored symbols trade, and what became of the others."""
    statuses = exchange.symbols.monitored().order_by().values_list("status")
    counts = dict(statuses.annotate(Count("pk")))
    for status in Symbol.Status.values:
        scrape.put("symbols", counts.get(status, 0), exchange.name, status)


def put_audit(scrape: Scrape, exchange: Exchange) -> None:
    """Put what the last audit found; nothing before there was one."""
    run = exchange.audit_runs.filter(ended_at__isnull=False).first()
    if run is None:
        return
    scrape.put("audit_age_seconds", time.time() - run.ended_at.timestamp(), exchange.name)
    scrape.put("audit_compared", run.compared, exchange.name)
    scrape.put("audit_differing", run.differing, exchange.name)
    scrape.put("audit_unknown", run.unknown, exchange.name)
    if run.second_id is not None:
        scrape.put("audit_second_beyond", run.second_beyond, exchange.name)


def put_server(scrape: Scrape, redis: Redis) -> None:
    """Put what the Redis server can be relied upon for."""
    scrape.put("redis_writable", not refusal(redis))
    for node, memory in read_memories(redis).items():
        labels = [node] if node else []  # one server needs none
        scrape.put("redis_evicts", bool(memory.evicts), *labels)
        scrape.put("redis_memory_used_bytes", memory.used, *labels)
        scrape.put("redis_memory_limit_bytes", memory.limit, *labels)


def put_agents(scrape: Scrape, agents: Sequence[Registration]) -> None:
    """Put how many agents are alive, and what the processes take in which they run exchanges."""
    scrape.put("agents_alive", len(agents))
    found = {  # of an agent that was begun anew the one before may seem to live for a moment
        (agent.hostname, ",".join(sorted(process.running))): process
        for agent in agents
        for process in agent.processes
        if process.running
    }
    for labels, process in found.items():
        scrape.put("agent_process_cpu_seconds_total", process.cpu_seconds, *labels)
        scrape.put("agent_process_memory_bytes", process.memory_bytes or None, *labels)
        scrape.put("agent_process_threads", process.threads or None, *labels)


def put_status(scrape: Scrape, name: str, status: Status, age: float | None) -> None:
    """Put what the holder says it does. `age` is how old that is, in seconds."""
    scrape.put("exchange_up", is_up(status, age), name)
    scrape.put("heartbeat_age_seconds", age, name)
    for state in State:
        scrape.put("exchange_state", status.state is state, name, state)


def put_stream(scrape: Scrape, name: str, details: Mapping[str, Any], age: float) -> None:
    """Put what a runner measured of its stream `age` seconds ago; nothing before it streams."""
    for metric, detail in OF_STREAM.items():
        scrape.put(metric, details.get(detail), name)
    for reason, count in details.get("refused", {}).items():
        scrape.put("frames_refused_total", count, name, reason)
    if delays := details.get("closeDelays"):
        scrape.put_delays(delays, name)
    newest_ms, now_ms = details.get("newestClose"), details.get("exchangeTime")
    if newest_ms and now_ms:
        scrape.put("newest_close_age_seconds", (now_ms - newest_ms) / 1000 + age, name)


def put_usage(scrape: Scrape, name: str, usage: Usage) -> None:
    """Put how much the exchange was asked, and whether it wants to be left alone."""
    scrape.put("request_weight_used", usage.weight, name)
    scrape.put("request_weight_limit", usage.weight_limit, name)
    scrape.put("host_held_seconds", usage.held_ms / 1000, name)
    scrape.put("host_banned_seconds", usage.banned_ms / 1000, name)


def put_warmup(scrape: Scrape, name: str, stats: Mapping[str, Any]) -> None:
    """Put how the last warmup went."""
    scrape.put("warmup_percent", stats["percentComplete"], name)
    scrape.put("warmup_pairs_failed", stats["failedPairs"], name)
    scrape.put("warmup_error", stats["status"] == WarmupStatus.ERROR, name)


def put_completeness(scrape: Scrape, labels: tuple[str, str], found: Completeness) -> None:
    """Put how complete the pairs of one timeframe are."""
    scrape.put("pairs", found.pairs, *labels)
    scrape.put("pairs_holed", found.holed, *labels)
    scrape.put("pairs_stale", found.stale, *labels)
    scrape.put("pairs_waiting", found.waiting, *labels)
    scrape.put("pairs_set_aside", found.set_aside, *labels)
    scrape.put("periods_missing", found.missing_periods, *labels)
    scrape.put("coverage_ratio", found.ratio, *labels)
