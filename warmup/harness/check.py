"""The steps of a check, in order: what each needs, and what its failure takes from the others."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import Error as DatabaseError
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import (
    BadCredentials,
    Banned,
    Blocked,
    KeptWaiting,
    LivermoreError,
    Misconfigured,
    RateLimited,
    TurnedAway,
    Unreachable,
    one_line,
)
from exchanges.models import Exchange
from exchanges.redis.unreadable import Unreadable
from warmup.harness.facts import Facts
from warmup.harness.remedies import database_failure, own_failure, redis_failure, remedy_for
from warmup.harness.report import CheckReport, Failed, Outcome, Result, Step
from warmup.harness.steps.candles import check_warmup
from warmup.harness.steps.contract import check_keys
from warmup.harness.steps.limits import check_limits
from warmup.harness.steps.lock import check_lock
from warmup.harness.steps.names import check_names
from warmup.harness.steps.network import check_clock, check_encryption
from warmup.harness.steps.row import check_environment, check_row
from warmup.harness.steps.subscription import check_subscription
from warmup.harness.steps.symbol import check_symbol

logger = logging.getLogger(__name__)

LEAST_SECONDS, MOST_SECONDS = 1, 300
# Whatever is asked next over REST, it would meet the same.
SPOIL_REST = (
    RateLimited, Banned, TurnedAway, KeptWaiting, Unreachable, Blocked, BadCredentials,
    Misconfigured,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A step: `needs` are what it can't do without, `spoils` what an error in it takes away."""

    name: str
    title: str
    do: Callable[[Facts], Outcome]
    needs: tuple[str, ...] = ()
    spoils: tuple[str, ...] = ()


KINDS = (
    Kind("row", "row and addresses", check_row),
    Kind("environment", "environment variables", check_environment, ("row",)),
    Kind("dns", "names (DNS)", check_names, ("row",)),
    Kind("tls", "encryption (TLS)", check_encryption, ("row", "rest", "stream")),
    Kind("clock", "clock", check_clock, ("row", "rest"), ("rest",)),
    Kind("symbol", "symbol", check_symbol, ("row", "rest"), ("listing",)),
    Kind("warmup", "warmup of 1d", check_warmup, ("row", "rest", "listing", "symbol")),
    Kind("subscription", "WebSocket subscription", check_subscription, ("row", "stream", "symbol")),
    Kind("keys", "keys in Redis", check_keys, ("redis",)),
    Kind("lock", "lock", check_lock, ("redis",)),
    Kind("limits", "rate limits", check_limits, ("row", "rest")),
)


class ExchangeCheck:
    """Tries an exchange from its row to live frames, and leaves nothing but warmed candles.

    `symbol` is canonical; None takes BTC-USD or what comes nearest to it. `seconds` is how long to
    listen, 1 to 300; ValueError otherwise. Of accounts it names those of `user`, all where that is
    None. It may run in any thread, and several may run at once;
    the thread's owner closes its connection to the database.
    """

    steps_total = len(KINDS)

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        symbol: str | None = None,
        seconds: float = 2,
        user: AbstractBaseUser | None = None,
    ):
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise ValueError(f"seconds is {LEAST_SECONDS} to {MOST_SECONDS}, not {seconds:g}")
        self._redis = redis
        self._exchange = exchange
        self._symbol = symbol
        self._seconds = seconds
        self._user = user

    def run(self, on_step: Callable[[Step], None] = lambda step: None) -> CheckReport:
        """Return what was found; `on_step` is called with each step when it is done."""
        facts = Facts(self._redis, self._exchange, self._symbol, self._seconds, self._user)
        report = CheckReport(self._exchange.name, self._exchange.pk)
        spoiled: dict[str, str] = {}  # what is needed -> the step that took it away
        try:
            for kind in KINDS:
                step = _skipped(kind, spoiled) or _tried(kind, facts, spoiled)
                report.steps.append(step)
                report.symbol = facts.market.symbol if facts.market else self._symbol
                on_step(step)
        finally:
            facts.close()
        return report


def _skipped(kind: Kind, spoiled: dict[str, str]) -> Step | None:
    cause = next((spoiled[need] for need in kind.needs if need in spoiled), None)
    if cause is None:
        return None
    return Step(kind.name, kind.title, Result.SKIP, 0.0, f"not tried, as this failed: {cause}")


def _tried(kind: Kind, facts: Facts, spoiled: dict[str, str]) -> Step:
    begun = time.monotonic()
    remedy: str | None = None
    lost: tuple[str, ...] = ()
    try:
        outcome = kind.do(facts)
        result, detail, remedy = outcome.result, outcome.detail, outcome.advice
    except Failed as failure:
        result, detail, remedy, lost = Result.FAIL, str(failure), failure.remedy, failure.spoils
    except Exception as error:  # whatever it is, the other steps and their report are wanted
        fault = _failure(error, facts)
        result, detail, remedy = Result.FAIL, str(fault), fault.remedy
        lost = (*kind.spoils, *fault.spoils)
    for need in lost:
        spoiled.setdefault(need, kind.title)
    detail, remedy = one_line(detail), one_line(remedy) if remedy else None
    return Step(kind.name, kind.title, result, time.monotonic() - begun, detail, remedy)


def _failure(error: Exception, facts: Facts) -> Failed:
    """Return what an error means that no step has a word of its own for."""
    match error:
        case LivermoreError():
            lost = ["rest"] if isinstance(error, SPOIL_REST) else []
            lost += ["stream"] if isinstance(error, Banned) else []  # it is the same address
            text = error.fault if isinstance(error, Unreadable) else str(error)
            return Failed(text, remedy_for(error, facts.exchange), lost)
        case RedisError():
            return redis_failure(error, facts)
        case DatabaseError():
            return database_failure(error)
    logger.debug("check.died exchange=%s", facts.exchange.name, exc_info=error)
    return own_failure(error)
