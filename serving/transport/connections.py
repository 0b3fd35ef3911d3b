"""All connections of one process, and room for those that come."""

import logging
import resource
import time
from collections import OrderedDict
from typing import Protocol

logger = logging.getLogger(__name__)

MOST = 4096
SPARE_DESCRIPTORS = 256  # for Redis, the database, exchanges and files
LOOKED_AT = 64  # of those that are there, for one that comes
SECONDS_BETWEEN_COMPLAINTS = 60.0


class Held(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Tell whether it waits for who is at its other end."""
        ...

    @property
    def requests(self) -> int:
        """Return how many requests it has brought."""
        ...

    def force_close(self) -> None: ...


class Connections:
    """Closes one that asks for nothing where there are too many: who comes is served.

    Whoever holds connections open, or sends half a request, so takes nobody's place. Used in the
    event loop alone.
    """

    def __init__(self, most: int = MOST):
        self._most = most
        # Each with the requests that it had brought when it was looked at last.
        self._all: OrderedDict[Held, int] = OrderedDict()
        self._complain_at = float("-inf")

    def enter(self, connection: Held) -> bool:
        """Take one in; return False where all the others are being answered."""
        if len(self._all) >= self._most:
            self._complain()
            if not self._make_room():
                return False
        self._all[connection] = 0
        return True

    def leave(self, connection: Held) -> None:
        """Learn that one is gone."""
        self._all.pop(connection, None)

    def _make_room(self) -> bool:
        """Close the one that came first of those that brought nothing since the last look."""
        for _ in range(min(LOOKED_AT, len(self._all))):
            connection, before = self._all.popitem(last=False)
            if connection.is_idle and connection.requests == before:
                connection.force_close()
                return True
            self._all[connection] = connection.requests
        return False

    def _complain(self) -> None:
        now = time.monotonic()
        if now >= self._complain_at:
            logger.warning("serving.crowded connections=%d", len(self._all))
            self._complain_at = now + SECONDS_BETWEEN_COMPLAINTS


def connections_allowed() -> int:
    """Let this process open as many files as it needs; return how many connections that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - SPARE_DESCRIPTORS, most // 2)
