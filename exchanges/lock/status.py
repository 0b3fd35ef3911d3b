"""Who has an exchange, and what they say of themselves."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.redis.json_types import (
    is_number,
    is_numbers,
    is_text,
    is_texts,
    maps_to,
    optional,
    parse_object,
    text_in,
    whole_in,
)
from exchanges.redis.unreadable import value_or_error, warn_once
from livermore.market import keys
from livermore.market.candle import check_time

logger = logging.getLogger(__name__)

STATUS_TTL_MS = 45_000
UNKNOWN = "–"
FASTEST_PACE = 100_000
FIXED = frozenset(
    {"state", "phase", "percent", "heartbeat"}
    | {"instanceId", "epoch", "hostname", "ip", "pid", "startedAt"}
)
# The details that somebody reads, by what they are. One that is something else is left out.
DETAILS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        (
            *("frames", "framesPerSecond", "lost", "connections", "silent", "reconnects"),
            *("streams", "closes", "healed", "late", "pendingCloses", "healing", "polled"),
            *("waitingPairs", "flushFailures", "symbols", "historiesWaiting"),
        ),
        is_number,
    ),
    **dict.fromkeys(("newestClose", "exchangeTime", "streamRetryAt"), optional(is_number)),
    "exchangePace": lambda found: is_number(found) and 0 <= found <= FASTEST_PACE,
    **dict.fromkeys(("historiesTrouble", "unreadable", "streamTrouble"), is_text),
    "oddClock": optional(is_text),
    **dict.fromkeys(("polledPairs", "setAside"), maps_to(is_texts)),
    **dict.fromkeys(("fetching", "waiting"), is_texts),
    "frameRates": is_numbers,
    "refused": maps_to(is_number),
    "closeDelays": lambda found: (
        isinstance(found, dict)
        and is_numbers(found.get("boundsMs"))
        and is_numbers(found.get("counts"))
        and len(found["counts"]) == len(found["boundsMs"]) + 1
        and is_number(found.get("sumMs"))
    ),
    "order": lambda found: (
        found is None
        or (
            isinstance(found, dict)
            and is_text(found.get("command"))
            and is_text(found.get("symbol", ""))
            and is_texts(found.get("symbols") or [])
            and is_texts(found.get("timeframes") or [])
        )
    ),
}


class State(StrEnum):
    """What an exchange's runner does; OFFLINE is the absence of a status."""

    OFFLINE = "offline"
    IDLE = "idle"
    STARTING = "starting"
    WARMING = "warming"
    ACTIVE = "active"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"


ENDED = (State.STOPPED, State.ERROR)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds an exchange's lock. `connected_since` is Redis's time, in ms, for all alike."""

    instance_id: str
    epoch: int
    hostname: str
    ip: str
    pid: int
    connected_since: int

    @classmethod
    def unknown(cls) -> "Holder":
        """Return who holds a lock that can't be read: somebody, until it is gone."""
        return cls("", 0, UNKNOWN, UNKNOWN, 0, 0)

    @property
    def is_known(self) -> bool:
        """Tell whether the lock says who holds it."""
        return bool(self.instance_id)

    @classmethod
    def from_json(cls, text: bytes | str) -> "Holder":
        """Return the holder that the lock's text describes. Raises ValueError for anything else."""
        return cls._of(parse_object(text), "connectedSince")

    @classmethod
    def _of(cls, found: Mapping[str, Any], since: str) -> "Holder":
        instance_id, hostname, ip = (
            text_in(found, name) for name in ("instanceId", "hostname", "ip")
        )
        epoch, pid = (whole_in(found, name) for name in ("epoch", "pid"))
        return cls(instance_id, epoch, hostname, ip, pid, check_time(found.get(since)))

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "instanceId": self.instance_id,
            "epoch": self.epoch,
            "hostname": self.hostname,
            "ip": self.ip,
            "pid": self.pid,
            "connectedSince": self.connected_since,
        }

    def __str__(self) -> str:
        if not self.is_known:
            return "nobody knows whom: its lock can't be read"
        since = datetime.fromtimestamp(self.connected_since / 1000, UTC)
        return (
            f"{self.hostname} ({self.ip}) since {since:%Y-%m-%d %H:%M:%S} UTC, process {self.pid}"
        )


@dataclass(frozen=True, slots=True)
class Status:
    """What the holder last said of itself; `details` are rates, lag and counters.

    `phase` is text for a person ("taken over by b (10.0.0.2)"), `percent` None where there is no
    end to measure against, `heartbeat` when it was written, in ms. OFFLINE has nothing but a state.
    """

    state: State
    phase: str = ""
    percent: float | None = None
    heartbeat: int | None = None
    holder: Holder | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: bytes | str | None) -> "Status":
        """Return the status that was stored, OFFLINE for None. Raises ValueError for what is none.

        A detail of another kind than ours is left out.
        """
        if text is None:
            return cls(State.OFFLINE)
        found = parse_object(text)
        holder = Holder._of(found, "startedAt")
        percent, heartbeat = found.get("percent"), found.get("heartbeat")
        if percent is not None and not is_number(percent):
            raise ValueError(f"percent is {percent!r}")
        if heartbeat is not None:
            check_time(heartbeat)
        core = (State(text_in(found, "state")), text_in(found, "phase"), percent, heartbeat)
        return cls(*core, holder, _details(found))

    def exchange_time_ms(self, age_ms: int) -> int | None:
        """Return the exchange's time, as its frames told it when this was written `age_ms` ago.

        None where they told none.
        """
        try:
            told_ms = check_time(self.details.get("exchangeTime"))
            return check_time(told_ms + int(age_ms * self.exchange_pace))
        except ValueError:
            return None

    @property
    def exchange_pace(self) -> float:
        """Return how many ms of the exchange's time go by in one of ours."""
        return self.details.get("exchangePace", 1.0)

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored; a detail can't replace one of the fixed fields."""
        holder = self.holder.as_json() if self.holder else {}
        started_at = holder.pop("connectedSince", None)
        return {
            **self.details,
            "state": self.state,
            "phase": self.phase,
            "percent": self.percent,
            "heartbeat": self.heartbeat,
            "startedAt": started_at,
            **holder,
        }


def read_status(redis: Redis, exchange_id: int) -> Status:
    """Return what the exchange's holder last said of itself, OFFLINE after its silence.

    What can't be read counts as nothing said: the next word of the holder replaces it.
    """
    name = keys.status(exchange_id)
    try:
        return Status.from_json(redis.get(name))
    except ValueError as error:
        warn_once(logger, name, error)
    except ResponseError as error:
        value_or_error(error)
        warn_once(logger, name, error)
    return Status(State.OFFLINE)


def read_status_age(redis: Redis, exchange_id: int) -> int | None:
    """Return how many ms ago the holder said that, None where it has not, or nobody knows when.

    By Redis's clock: that of the machine which wrote it may be off, and so may ours.
    """
    left_ms = redis.pttl(keys.status(exchange_id))
    return STATUS_TTL_MS - left_ms if left_ms >= 0 else None


def read_exchange_time(redis: Redis, exchange_id: int) -> int | None:
    """Return the exchange's time as its runner tells it, None where none does."""
    status = read_status(redis, exchange_id)
    age_ms = read_status_age(redis, exchange_id)
    return None if age_ms is None else status.exchange_time_ms(age_ms)


def _details(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of a status, without those that are not what they should be."""
    return {
        name: value
        for name, value in found.items()
        if name not in FIXED and (name not in DETAILS or DETAILS[name](value))
    }
