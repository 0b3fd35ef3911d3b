"""How long to wait before trying again: a call over REST, a connection, or a whole exchange."""

import random
from collections.abc import Iterator

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 8.0
FIRST_RECONNECT_SECONDS, LONGEST_RECONNECT_SECONDS = 1.0, 60.0


def retry_delays() -> Iterator[float]:
    """Yield seconds to wait before each further try of one call, without end."""
    return _delays(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)


def reconnect_delays() -> Iterator[float]:
    """Yield seconds to wait before each further try to connect or to begin anew, without end."""
    return _delays(FIRST_RECONNECT_SECONDS, LONGEST_RECONNECT_SECONDS)


def _delays(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield delays with full jitter under a doubling ceiling."""
    ceiling = first_seconds
    while True:
        yield random.uniform(0, ceiling)
        ceiling = min(2 * ceiling, longest_seconds)
