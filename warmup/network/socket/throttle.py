"""Work that is triggered often and done seldom: at once where it may be, and never for nothing."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class Throttle:
    """Does `work` soon after `trigger`, with `seconds` between the end of one and the next.

    The first trigger is followed at once; those that come meanwhile are one, and are not forgotten.
    """

    def __init__(self, seconds: float, work: Callable[[], Awaitable[None]]):
        self._seconds = seconds
        self._work = work
        self._task: asyncio.Task | None = None
        self._again = False

    def trigger(self) -> None:
        """Ask for the work to be done."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Break off, and begin no more."""
        if self._task:
            self._task.cancel()

    async def _run(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._work()
            except Exception:  # the next trigger may succeed
                logger.exception("throttle.failed work=%s", self._work.__qualname__)
            await asyncio.sleep(self._seconds)


class RateLimit:
    """How often something may be sent: `per_second` times in any second. Pure.

    What is usual comes at even intervals, long enough to leave one in reserve, so that
    what is urgent need not wait for its turn.
    """

    def __init__(self, per_second: int):
        self._sent_at: deque[float] = deque(maxlen=per_second)

    def wait_seconds(self, now: float, interval_seconds: float, urgent: bool) -> float:
        """Return for how long nothing may be sent yet, 0 where it may be now."""
        if not self._sent_at:
            return 0.0
        is_full = len(self._sent_at) == self._sent_at.maxlen
        next_at = self._sent_at[0] + 1.0 if is_full else 0.0
        if not urgent:
            next_at = max(next_at, self._sent_at[-1] + interval_seconds)
        return max(0.0, next_at - now)

    def note(self, now: float) -> None:
        """Count one that is sent now."""
        self._sent_at.append(now)
