"""How long a message waits for its next try."""

import random

FIRST_SECONDS, LONGEST_SECONDS, FACTOR = 5.0, 3600.0, 2.0
JITTER = 0.2


def delay_after(tries: int) -> float:
    """Return how many seconds to wait after so many tries: 5, 10, 20, … an hour at the most."""
    delay = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** (tries - 1))
    return delay * random.uniform(1 - JITTER, 1 + JITTER)
