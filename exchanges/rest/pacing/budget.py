"""What an exchange allows one address, and how much of it each kind of call may use up."""

from dataclasses import dataclass
from enum import Enum
from math import ceil

SHARE_OF_CALLS = 0.9  # the same of a limit that counts calls, which all cost as much
LATENESS = 1.05  # of a pause: calls of one batch arrive later than others, and count from then on
MOST_AT_ONCE = 45  # calls that may usefully be under way; a row may have 50
SHARE_OF_LIMIT = 0.8  # of what an exchange publishes; the rest is for other programs and for error


class Lane(Enum):
    """What a call is for; its value is the share of the budget it may use up."""

    HEAL = 1.0
    LIVE = 0.95
    SERVE = 0.92  # what a program waits for
    BACKFILL = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange allows one address: weight in a minute, requests in five."""

    weight_per_minute: int
    requests_per_5_minutes: int


@dataclass(frozen=True, slots=True)
class CallLimit:
    """So many calls in any stretch of so many seconds, for one address, whatever they ask.

    Not `is_published`: it is what the exchange allowed when it last said so.
    """

    calls: int
    per_seconds: float
    is_published: bool = True

    @property
    def per_second(self) -> float:
        """Return how many calls a second that is."""
        return self.calls / self.per_seconds

    @property
    def batch_size(self) -> int:
        """Return how many calls a row makes at once to stay below it."""
        return max(1, int(SHARE_OF_CALLS * self.calls / self._batches))

    @property
    def batch_delay_ms(self) -> int:
        """Return how long a row pauses after so many."""
        longer = max(1.0, 1 / (SHARE_OF_CALLS * self.calls))
        if (self._batches + 1) * self.batch_size > self.calls:  # no room for one that is late
            longer = max(longer, LATENESS)
        return ceil(1000 * self.per_seconds * longer / self._batches)

    @property
    def _batches(self) -> int:
        """Return how many batches fall into its seconds, wherever they begin."""
        return max(1, ceil(SHARE_OF_CALLS * self.calls / MOST_AT_ONCE))
