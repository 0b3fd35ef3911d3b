"""An exchange's REST that is away as a whole: one tries for all, ever more rarely."""

import random

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0


class Outage:
    """Whether REST is away, and when to try again. `now` is monotonic, in seconds."""

    def __init__(self):
        self.is_there = False
        self._pause = FIRST_PAUSE_SECONDS
        self._next_try_at = 0.0
        self._trying = False

    def may_try(self, now: float) -> bool:
        """Return whether a call may go out now; while it is away one at a time does."""
        if not self.is_there:
            return True
        if now < self._next_try_at:
            return False
        self._next_try_at = now + LONGEST_PAUSE_SECONDS  # until that one has ended
        self._trying = True
        return True

    def failed(self, now: float) -> None:
        """Learn that a call failed for a reason that all others would meet."""
        if self.is_there and not self._trying:
            return  # it was under way when the others failed
        self.is_there, self._trying = True, False
        self._next_try_at = now + random.uniform(0.5, 1) * self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def ended(self) -> bool:
        """Learn that a call succeeded; return whether that ends an outage."""
        was_there, self.is_there = self.is_there, False
        self._pause = FIRST_PAUSE_SECONDS
        return was_there
