"""The one clock of a sandbox; nothing else in it asks what time it is."""

import time


class SandboxClock:
    """Tell the exchange's time, which may run fast, stand still or be wrong.

    `speed` 1 is real time, 60 a minute per second, 0 a clock that only `advance` moves.
    `start_ms` None starts at this machine's time. `skew_ms` is added to every answer.
    """

    def __init__(self, speed: float = 1, start_ms: int | None = None):
        self.speed = speed
        self.skew_ms = 0
        self._origin_ms = int(time.time() * 1000) if start_ms is None else start_ms
        self._started = time.monotonic()

    def now_ms(self) -> int:
        run_ms = (time.monotonic() - self._started) * self.speed * 1000
        return self._origin_ms + int(run_ms) + self.skew_ms

    def advance(self, milliseconds: int) -> None:
        """Jump forward (or, with a negative number, back)."""
        self._origin_ms += milliseconds
