"""What an exchange's runner says of itself, and what time it is there."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from livermore_reader.sources.redis.exchanges import KnownExchange
from livermore_reader.sources.redis.installation import Installation
from livermore_reader.sources.redis.replies import sound

KEPT_MS = 45_000  # for which a status is kept: how long it still is says how old it is
SILENCE_MS = 10_000  # of a runner that says that it lives every second


@dataclass(frozen=True, slots=True)
class RunnerStatus:
    """A status `age_ms` after it was written; without a runner there is nothing in it."""

    told: dict[str, Any] = field(default_factory=dict)
    age_ms: int = 0

    @property
    def state(self) -> str:
        return str(self.told.get("state") or "offline")

    @property
    def phase(self) -> str:
        return str(self.told.get("phase") or "")

    @property
    def is_streamed(self) -> bool:
        return self.state == "active" and self.age_ms < SILENCE_MS

    @property
    def pace(self) -> float:
        """How many ms go by at the exchange in one here: 1, but for a sandbox."""
        return _number(self.told.get("exchangePace"), 1.0)

    @property
    def newest_close_ms(self) -> int | None:
        found = _number(self.told.get("newestClose"), 0.0)
        return int(found) or None

    @property
    def now_ms(self) -> int | None:
        """The exchange's time, None where no runner tells it."""
        told = _number(self.told.get("exchangeTime"), 0.0)
        return int(told + self.age_ms * self.pace) if told else None


def read_status(text: bytes | None, lives_ms: int) -> RunnerStatus:
    """Return what a status says that is kept for so long yet; nothing where it can't be read."""
    try:
        told = json.loads(text or b"{}")
    except ValueError:
        told = {}
    if not isinstance(told, dict) or not told:
        return RunnerStatus()
    return RunnerStatus(told, max(0, KEPT_MS - lives_ms))


class Told(NamedTuple):
    """What a runner says, what time it is at its exchange, and whether that is by a runner."""

    status: RunnerStatus
    now_ms: int
    is_by_runner: bool

    @property
    def is_streamed(self) -> bool:
        return self.status.is_streamed


class Statuses:
    """Asks what runners say, with other questions. Any thread may ask."""

    def __init__(self, installation: Installation):
        self._installation = installation
        self._clocks: dict[str, Clock] = {}

    def ask(self, pipe: Any, exchange: KnownExchange) -> None:
        name = self._installation.names.of_exchange(exchange.number, "status")
        pipe.get(name)
        pipe.pttl(name)
        if not self._installation.address.is_cluster:  # of which each node has a time of its own
            pipe.time()

    def read(self, exchange: KnownExchange, replies: Iterator[Any]) -> Told:
        """Return what the next replies say. Raises RedisError."""
        text, lives_ms = sound(next(replies)), sound(next(replies))
        at = None if self._installation.address.is_cluster else next(replies)
        redis_ms = at[0] * 1000 + at[1] // 1000 if isinstance(at, tuple) else 0
        return self._clocks.setdefault(exchange.name, Clock()).told(
            read_status(text, lives_ms), redis_ms
        )


class Clock:
    """What time it is at an exchange: what its runner told goes on where nobody tells it."""

    def __init__(self) -> None:
        self._told: tuple[float, int, float] | None = None  # monotonic, time, pace

    def told(self, status: RunnerStatus, redis_ms: int) -> Told:
        """Return it, by a status that was read now; without one no clock that is behind counts."""
        if status.now_ms is not None:
            self._told = time.monotonic(), status.now_ms, status.pace
            return Told(status, status.now_ms, is_by_runner=True)
        known = [int(1000 * time.time()), redis_ms]
        if self._told:
            at, time_ms, pace = self._told
            known.append(time_ms + int(1000 * (time.monotonic() - at) * pace))
        return Told(status, max(known), is_by_runner=self._told is not None)


def _number(found: Any, usual: float) -> float:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and abs(found) < 1e18 else usual
