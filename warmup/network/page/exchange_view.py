"""What is known of one exchange at one moment: its row of the database, its keys of Redis."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from redis import Redis

from exchanges.lock.acquire import TTL_MS, unknown_lock
from exchanges.lock.status import STATUS_TTL_MS, Holder, State, Status
from exchanges.models import AuditRun, Exchange, Symbol
from exchanges.redis.json_types import (
    check_types,
    is_number,
    is_text,
    maps_to,
    optional,
    parse_object,
)
from exchanges.redis.unreadable import is_wrong_type, value_or_error, warn_once
from exchanges.rest.pacing.host import host_of
from exchanges.rest.pacing.usage import Usage, read_usage
from exchanges.symbols.renaming import rename_offers
from livermore.market import keys
from livermore.market.candle import check_time
from livermore.market.timeframe import LONGEST_FIRST
from warmup.network.actions.audit import BEGINS, ENDS, last_action
from warmup.network.page.cells import Work
from warmup.runner.command_log import Entry
from warmup.runner.moving.succession import Successor
from warmup.runner.trouble import Trouble
from warmup.stats import Status as WarmupStatus
from warmup.stats import WarmupStats

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

LATE_MS = TTL_MS  # a status is written with each renewal of the lock at least
LATE_WHILE_ACTIVE_MS = 10_000  # and then every second
SAME_MOMENT_MS = 60_000
EMPTY_STATS = WarmupStats(0).as_json()
STATS = {
    **dict.fromkeys(("startedAt", "updatedAt", "totalPairs", "completedPairs"), is_number),
    **dict.fromkeys(("skippedPairs", "failedPairs", "percentComplete"), is_number),
    **dict.fromkeys(("etaMs", "pairsPerSecond"), optional(is_number)),
    **dict.fromkeys(("currentSymbol", "currentTimeframe", "error"), optional(is_text)),
    "refusedCandles": is_number,
    "failures": lambda found: isinstance(found, list) and all(map(maps_to(is_text), found)),
}
REPAIRING_PHASES = (
    *("warming", "repairing", "catching up", "computing indicators"),  # a runner that starts
    *("warmup", "repair", "force-backfill"),  # a command
)
REPAIRING_ORDERS = ("repair", "warmup", "force-backfill", "add-symbol", "bulk-add-symbols")


class Action(NamedTuple):
    """Who did something to an exchange last, when (UTC epoch ms), and what."""

    who: str
    at_ms: int
    what: str


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """What the database knows of one exchange.

    `symbols` are monitored; `idle` says of those that do not trade what became of them, and
    `offers` what to type where one may have taken another name. `asked` is who wanted it to run,
    or not to, as it is now; None where nobody wrote that down. `audit` is the last that ended.
    """

    exchange: Exchange
    symbols: tuple[str, ...]
    action: Action | None
    idle: Mapping[str, str] = field(default_factory=dict)
    offers: tuple[str, ...] = ()
    asked: Action | None = None
    audit: AuditRun | None = None


class Schedule(NamedTuple):
    """The last warmup's schedule: when it was made, and how many pairs of which timeframe."""

    created_at: int
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ExchangeView:
    """What Redis says of one exchange at one moment.

    `status_age_ms` is by Redis's clock, None without a status. `stats` and `schedule` are those of
    the last warmup, as it left them; `commands` the last ones, the newest first.
    """

    holder: Holder | None
    status: Status
    status_age_ms: int | None
    stats: Mapping[str, Any] | None
    schedule: Schedule | None
    usage: Usage
    trouble: Trouble | None = None
    commands: tuple[Entry, ...] = ()
    lock_fault: str = ""  # what to do about a lock that can't be read
    successor: Successor | None = None  # who prepares to take it from the holder

    @property
    def late(self) -> bool:
        """Tell whether the holder should have given a sign of life by now."""
        limit_ms = LATE_WHILE_ACTIVE_MS if self.status.state is State.ACTIVE else LATE_MS
        return self.status_age_ms is not None and self.status_age_ms > limit_ms

    def time_ms(self, now_ms: int) -> int:
        """Return the exchange's time, as its frames told it, else `now_ms`."""
        told = self.status.details.get("exchangeTime")
        return told if isinstance(told, int) and not self.late else now_ms

    def work(self) -> Work:
        """Return what is being repaired."""
        status = self.status
        if self.late or self.holder is None:
            return Work()
        if status.state is State.WARMING and status.phase in REPAIRING_PHASES:
            return Work(None)
        healing = bool(status.details.get("healing"))
        fetching = tuple(status.details.get("fetching") or ())
        order = status.details.get("order") or {}
        if order.get("command") not in REPAIRING_ORDERS:
            return Work(healing=healing, fetching=fetching)
        symbols = order.get("symbols", order.get("symbol"))
        symbols = [symbols] if isinstance(symbols, str) else symbols
        return Work(symbols, order.get("timeframes"), healing, fetching)


def read_exchange(
    redis: Redis,
    exchange: Exchange,
    now_ms: int,
    schedule: Schedule | None = None,
    usage: Usage | None = None,
) -> ExchangeView:
    """Return what Redis says of an exchange; what can't be understood counts as not there.

    `schedule` and `usage` are what was read before and will still do: both are large.
    """
    number = exchange.pk
    pipe = redis.pipeline(transaction=False)
    for key_of in (keys.lock, keys.status, keys.warmup_stats, keys.trouble, keys.successor):
        pipe.get(key_of(number))
    for key_of in (keys.status, keys.lock):
        pipe.pttl(key_of(number))
    pipe.hvals(keys.commands(number))
    if schedule is None:
        pipe.get(keys.warmup_schedule(number))
    replies = map(value_or_error, pipe.execute(raise_on_error=False))
    lock, status, stats, trouble, next_one, left_ms, lock_left_ms, noted, *stored = replies
    name = keys.commands(number)
    noted = [] if is_wrong_type(noted) else noted
    commands = filter(None, (_understand(name, Entry.from_json, each) for each in noted))
    holder = _understand(keys.lock(number), Holder.from_json, lock)
    is_foreign = holder is None and lock is not None
    lock_fault = unknown_lock(number, lock_left_ms) if is_foreign else ""
    said = _understand(keys.status(number), Status.from_json, status)
    successor = _understand(keys.successor(number), Successor.from_json, next_one)
    is_meant = successor and holder and successor.replaces == holder.instance_id
    name = keys.warmup_schedule(number)
    return ExchangeView(
        holder,
        said or Status(State.OFFLINE),
        STATUS_TTL_MS - left_ms if said and left_ms >= 0 else None,
        _understand(keys.warmup_stats(number), _progress, stats),
        _understand(name, _schedule, stored[0]) if stored else schedule,
        usage or read_usage(redis, host_of(exchange.rest_url)),
        _understand(keys.trouble(number), Trouble.from_json, trouble),
        tuple(sorted(commands, key=lambda entry: entry.started_at, reverse=True)),
        lock_fault,
        successor if is_meant else None,
    )


def read_numbers() -> list[int]:
    """Return the numbers of all exchanges, active or not: any may change."""
    return list(Exchange.objects.values_list("pk", flat=True))


def read_rows() -> list[ExchangeRow]:
    """Return the active exchanges with what is kept of them."""
    symbols: dict[int, list[str]] = {}
    idle: dict[int, dict[str, str]] = {}
    for symbol in Symbol.objects.monitored().order_by("symbol"):
        symbols.setdefault(symbol.exchange_id, []).append(symbol.symbol)
        if symbol.status != Symbol.Status.TRADING:
            idle.setdefault(symbol.exchange_id, {})[symbol.symbol] = symbol.status_text
    return [
        ExchangeRow(
            row,
            tuple(symbols.get(row.pk, ())),
            _action(row.pk),
            idle.get(row.pk, {}),
            tuple(map(str, rename_offers(row))) if row.pk in idle else (),
            _asked(row),
            row.audit_runs.filter(ended_at__isnull=False).select_related("second").first(),
        )
        for row in Exchange.objects.filter(is_active=True).select_related("account__user")
    ]


def _action(exchange_id: int) -> Action | None:
    found = last_action(exchange_id)
    return Action(*found) if found else None


def _asked(row: Exchange) -> Action | None:
    if row.wanted_at is None:
        return None
    found = last_action(row.pk, ENDS if row.wanted == Exchange.Wanted.STOPPED else BEGINS)
    wanted_ms = row.wanted_at.timestamp() * 1000
    # Else it was wanted so in another way since, of which nobody wrote down whose wish it was.
    if found is None or abs(found[1] - wanted_ms) >= SAME_MOMENT_MS:
        return None
    return Action(*found)


def _progress(text: bytes) -> Mapping[str, Any]:
    found = parse_object(text)
    WarmupStatus(found["status"])
    check_types(found, STATS)
    return EMPTY_STATS | found


def _schedule(text: bytes) -> Schedule:
    found = parse_object(text)
    check_time(found["createdAt"])
    counts = Counter(entry["timeframe"] for entry in found["entries"])
    return Schedule(
        found["createdAt"], tuple((str(t), counts[t]) for t in LONGEST_FIRST if counts[t])
    )


def _understand(name: str, parse: Callable[[bytes], Found], text: Any) -> Found | None:
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        warn_once(logger, name, error)
        return None
