"""Who has an exchange, and what they say of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from redis import Redis

from livermore.market import keys
from livermore.market.candle import check_time

STATUS_TTL_MS = 45_000


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
    def from_json(cls, text: bytes | str) -> "Holder":
        """Return the holder that the lock's text describes."""
        found = orjson.loads(text)
        names = ("instanceId", "epoch", "hostname", "ip", "pid", "connectedSince")
        return cls(*(found[name] for name in names))

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
        """Return the status that was stored, OFFLINE for None."""
        if text is None:
            return cls(State.OFFLINE)
        found = orjson.loads(text)
        names = ("instanceId", "epoch", "hostname", "ip", "pid", "startedAt")
        holder = Holder(*(found.pop(name) for name in names))
        core = [found.pop(name) for name in ("state", "phase", "percent", "heartbeat")]
        return cls(State(core[0]), *core[1:], holder, found)

    def exchange_time_ms(self, age_ms: int) -> int | None:
        """Return the exchange's time, as its frames told it when this was written `age_ms` ago.

        None where they told none.
        """
        try:
            return check_time(self.details.get("exchangeTime")) + age_ms
        except ValueError:
            return None

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
    """Return what the exchange's holder last said of itself, OFFLINE after its silence."""
    return Status.from_json(redis.get(keys.status(exchange_id)))


def read_status_age(redis: Redis, exchange_id: int) -> int | None:
    """Return how many ms ago the holder said that, None where it has not, or nobody knows when.

    By Redis's clock: that of the machine which wrote it may be off, and so may ours.
    """
    left_ms = redis.pttl(keys.status(exchange_id))
    return STATUS_TTL_MS - left_ms if left_ms >= 0 else None


def read_exchange_time(redis: Redis, exchange_id: int) -> int | None:
    """Return the exchange's time as its runner tells it, None where none does."""
    try:
        status = read_status(redis, exchange_id)
    except (ValueError, LookupError, TypeError, AttributeError):  # none of ours
        return None
    age_ms = read_status_age(redis, exchange_id)
    return None if age_ms is None else status.exchange_time_ms(age_ms)
