"""What a runner measures of itself: how fast frames come, how late closes are stored."""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

RATE_SECONDS = 10
HISTORY_SECONDS, HISTORY_LENGTH = 2.0, 120
BOUNDS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)


class Rate:
    """How fast a count grows, over the last ten seconds or what there is of them."""

    def __init__(self):
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, count: int) -> float:
        """Return how much a second it has grown, now that it is `count`."""
        now = time.monotonic()
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return round((count - before) / (now - then), 1) if now > then else 0.0


class History:
    """The last four minutes of a figure, a value every two seconds, for a sparkline."""

    def __init__(self):
        self._values: deque[float] = deque(maxlen=HISTORY_LENGTH)
        self._next_at = 0.0

    def after(self, value: float) -> list[float]:
        """Return the values so far, oldest first, now that it is `value`."""
        now = time.monotonic()
        if now >= self._next_at:
            # By even intervals where they are kept, so that an uneven caller doesn't slow it down.
            late = now - self._next_at
            self._next_at = now + HISTORY_SECONDS - (late if late < HISTORY_SECONDS else 0)
            self._values.append(value)
        return list(self._values)


class Delays:
    """How long after the end of its bar each close was in Redis, by the exchange's clock.

    That clock can only be late (see `CandleSink.now_ms`), by the way of a frame: so much is left
    out. `counts` are of the delays up to each of `BOUNDS_MS`, the last one of what is longer.
    """

    def __init__(self):
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0

    def add(self, ends_ms: Iterable[int], now_ms: int) -> None:
        """Count bars that ended at these times and are stored now."""
        for end_ms, count in Counter(ends_ms).items():  # nearly all of a flush ended together
            delay_ms = max(0, now_ms - end_ms)
            self.counts[bisect_left(BOUNDS_MS, delay_ms)] += count
            self.sum_ms += count * delay_ms

    def as_json(self) -> dict[str, Any]:
        """Return what the status tells."""
        return {"boundsMs": BOUNDS_MS, "counts": list(self.counts), "sumMs": self.sum_ms}
