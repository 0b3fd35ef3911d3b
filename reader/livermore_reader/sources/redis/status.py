"""What an exchange's runner says of itself, and what time it is there."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

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


class Clock:
    """What time it is at an exchange: what its runner told goes on where nobody tells it."""

    def __init__(self) -> None:
        self._told: tuple[float, int, float] | None = None  # monotonic, time, pace

    def now_ms(self, status: RunnerStatus, redis_ms: int | None) -> int:
        """Return it, by a status that was read now; without one no clock that is behind counts."""
        if status.now_ms is not None:
            self._told = time.monotonic(), status.now_ms, status.pace
            return status.now_ms
        known = [int(1000 * time.time()), redis_ms or 0]
        if self._told:
            at, time_ms, pace = self._told
            known.append(time_ms + int(1000 * (time.monotonic() - at) * pace))
        return max(known)


def _number(found: Any, usual: float) -> float:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and abs(found) < 1e18 else usual
