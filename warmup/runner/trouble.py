"""Why an exchange that shall run can't be reached: told to those who look, until it answers."""

import logging
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import DatabaseError
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import (
    CLIP_OURS,
    Banned,
    Blocked,
    LivermoreError,
    Misconfigured,
    RateLimited,
    Temporary,
    TurnedAway,
    clip,
)
from exchanges.models import Exchange
from exchanges.redis.change_notifications import changed
from exchanges.redis.json_types import parse_object
from exchanges.rest.base import VenueRest
from livermore.market import keys
from livermore.market.candle import check_time
from warmup.harness.remedies import database_failure, own_failure, remedy_for
from warmup.harness.steps.names import REMEDY as NO_ADDRESS
from warmup.harness.steps.network import ANSWERED, UNENCRYPTED
from warmup.human_readable import moment

logger = logging.getLogger(__name__)

KEPT_SECONDS = 120  # longer than anybody waits between two tries
SECONDS_BETWEEN_SAME = 2.0
ANSWERED_LATELY_SECONDS = 10.0  # what fails beside what is answered is no trouble of the exchange
OF_THE_EXCHANGE = (Temporary, Blocked, Misconfigured)
PASSES = "Livermore waits and goes on by itself; end what else calls it from this address"
GOES_ON = "Livermore waits and goes on by itself"
LINE = "whether this machine is online and the exchange is up"
# How the system says that a host's name has no address, on Linux and on macOS.
NAMELESS = ("name resolution", "Name or service", "nodename nor servname", "No address")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, what to do, and which machine found it.

    `retry_at_ms` is when that one tries again, None while it does; `over_at_ms` when it ends by
    itself, None where nobody knows.
    """

    text: str
    remedy: str
    hostname: str
    retry_at_ms: int | None = None
    over_at_ms: int | None = None

    @classmethod
    def from_json(cls, text: bytes) -> "Trouble":
        """Return what was stored. Raises ValueError, LookupError or TypeError for anything else."""
        found = parse_object(text)
        texts = [found[name] for name in ("text", "remedy", "hostname")]
        times = [found[name] for name in ("retryAt", "overAt")]
        if not all(isinstance(each, str) for each in texts):
            raise TypeError("a trouble's texts")
        for each in times:
            if each is not None:
                check_time(each)
        return cls(*texts, *times)

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "text": self.text,
            "remedy": self.remedy,
            "hostname": self.hostname,
            "retryAt": self.retry_at_ms,
            "overAt": self.over_at_ms,
        }


def words_for(error: Exception, exchange: Exchange) -> tuple[str, str]:
    """Return what is wrong and what to do, as `check_exchange` says it."""
    if isinstance(error, DatabaseError):
        failed = database_failure(error)
        return failed.detail, failed.remedy
    if not isinstance(error, LivermoreError):
        failed = own_failure(error)
        return failed.detail, failed.remedy
    if isinstance(error, Banned):
        until = moment(error.until_ms, _now_ms())
        return f"{error.host} banned this address until {until}", GOES_ON
    text = without_number(getattr(error, "fault", "") or str(error))
    if isinstance(error, RateLimited | TurnedAway):
        return text, PASSES
    causes = list(_causes(error))
    if any(isinstance(each, socket.gaierror | UnicodeError) for each in causes):
        return text, NO_ADDRESS
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return text, UNENCRYPTED
    return text, remedy_for(error, exchange)


def without_number(text: str) -> str:
    """Return a text without the system's numbers of errors: their words stand behind them."""
    return re.sub(r"\[Errno -?\d+\] ", "", text)


def stream_remedy(reason: str) -> str:
    """Return what to do about a connection of the stream that could not be made, or ended.

    `reason` is what its runner tells: it makes another one by itself.
    """
    if not reason.startswith("cannot connect"):
        return f"{GOES_ON}; if it happens often, see {LINE}"
    if any(text in reason for text in ANSWERED):
        return (
            f"{GOES_ON}; if it stays so, see what the exchange says, and compare the row's "
            "WebSocket address with its documents"
        )
    if any(text in reason for text in NAMELESS):
        return f"{GOES_ON}; if it stays so, {NO_ADDRESS}"
    if "SSL" in reason or "certificate" in reason.lower():
        return f"{GOES_ON}; if it stays so, see {UNENCRYPTED}"
    return f"{GOES_ON}; if it stays so, see {LINE}, and the row's WebSocket address"


class TroubleReport:
    """Tells of one exchange why it can't be reached, and takes that back when it answers.

    Any thread may call it. A Redis that is gone ends nothing here.
    """

    def __init__(self, redis: Redis, exchange: Exchange):
        self._redis = redis
        self._exchange = exchange
        self._key = keys.trouble(exchange.pk)
        self._told: tuple[str, str] | None = None
        self._told_at = self._answered_at = float("-inf")
        self._clean = False  # there may be what somebody wrote before
        self._lock = threading.Lock()

    def observe(self, rest: VenueRest) -> None:
        """Learn from now on what the calls of a client come to."""
        rest.client.on_failure = self._failed
        rest.client.on_answer = self._answered

    def ended(self, error: Exception, retry_seconds: float) -> None:
        """Tell what ended a run, and when it is begun again."""
        over_at_ms = error.until_ms if isinstance(error, Banned) else None
        retry_at_ms = _now_ms() + round(1000 * retry_seconds)
        self._write(error, retry_at_ms, over_at_ms)

    def clear(self) -> None:
        """Take back what was told: it works, or nobody wants it any more."""
        with self._lock:
            if self._clean:
                return
            self._clean, self._told = True, None
            with suppress(RedisError):
                if self._redis.delete(self._key):
                    self._redis.publish(*changed(self._exchange.pk, "trouble"))

    def _failed(self, error: LivermoreError) -> None:
        """Learn of a call that failed, after which others are tried."""
        now = time.monotonic()
        if not isinstance(error, OF_THE_EXCHANGE):
            return
        if now - self._answered_at < ANSWERED_LATELY_SECONDS:
            return
        is_new = self._told != words_for(error, self._exchange)
        if is_new or now - self._told_at > SECONDS_BETWEEN_SAME:
            self._write(error, None, error.until_ms if isinstance(error, Banned) else None)

    def _answered(self) -> None:
        self._answered_at = time.monotonic()
        if not self._clean:
            self.clear()

    def _write(self, error: Exception, retry_at_ms: int | None, over_at_ms: int | None) -> None:
        words = words_for(error, self._exchange)
        text, remedy = (clip(each, CLIP_OURS) for each in words)
        trouble = Trouble(text, remedy, socket.gethostname(), retry_at_ms, over_at_ms)
        kept_ms = 1000 * KEPT_SECONDS + max(0, (retry_at_ms or 0) - _now_ms())
        with self._lock:
            self._told, self._told_at, self._clean = words, time.monotonic(), False
            try:
                self._redis.set(self._key, orjson.dumps(trouble.as_json()), px=kept_ms)
                self._redis.publish(*changed(self._exchange.pk, "trouble"))
            except RedisError as failure:
                logger.debug("trouble.not_told exchange=%s error=%s", self._exchange.name, failure)


def _causes(error: BaseException):
    while cause := error.__cause__ or error.__context__:
        yield cause
        error = cause


def _now_ms() -> int:
    return int(time.time() * 1000)
