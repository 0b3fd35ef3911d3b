"""Files that an exchange publishes for all: few at once, tried again, never longer than allowed.

Their host is another one than that of REST, and counts no request weight.
"""

import logging
import threading
from itertools import islice
from typing import Any

from exchanges.errors import Blocked, Excessive, RateLimited, Temporary, Unreachable
from exchanges.rest.client import ATTEMPTS, READ_SECONDS
from exchanges.rest.refusals import retry_after_seconds
from exchanges.rest.response_limits import ResponseBudget
from exchanges.rest.session import (
    FAILURES,
    LIBRARYS_LIMIT,
    RouteAdapter,
    SingleHostSession,
    reason_of,
)
from exchanges.transport.backoff import retry_delays
from exchanges.transport.dialing import Route

logger = logging.getLogger(__name__)

AT_ONCE = 4
PIECE_BYTES = 262_144  # of a file, that are asked for at a time
SECONDS = 120.0  # for one file, however slowly it comes
LONGEST_PAUSE_SECONDS = 60.0  # that the host may ask for
NOT_THERE = (404, 410)
REFUSED = (401, 403, 451)


class Downloads:
    """GETs files from one host. Threads may share it; `AT_ONCE` files come at a time."""

    def __init__(self, base_url: str, route: Route):
        self._place = base_url.rstrip("/").partition("://")[2]
        self._session = SingleHostSession(
            base_url, RouteAdapter(route, pool_maxsize=AT_ONCE), READ_SECONDS
        )
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._closing = threading.Event()
        self._counting = threading.Lock()
        self._octets = 0

    @property
    def octets(self) -> int:
        """Return how many bytes of files have come so far."""
        return self._octets

    def get(self, path: str, most_bytes: int) -> bytes | None:
        """Return a file of at most so many bytes, None where the host has none of that path.

        Raises Excessive for one that is longer or takes too long, Blocked where the host refuses,
        Unreachable or RateLimited where no try was answered, Temporary once this is closed.
        """
        for delay in islice(retry_delays(), ATTEMPTS - 1):
            try:
                return self._try(path, most_bytes)
            except (Unreachable, RateLimited) as error:
                logger.debug("download.retry path=%s error=%s", path, error)
                asked = error.retry_after_seconds if isinstance(error, RateLimited) else None
                self._sleep(max(delay, min(asked or 0, LONGEST_PAUSE_SECONDS)))
        return self._try(path, most_bytes)

    def close(self) -> None:
        """Close the connections; whoever waits for a turn or a further try gets Temporary."""
        self._closing.set()
        self._session.close()

    def _try(self, path: str, most_bytes: int) -> bytes | None:
        with self._turn:
            self._sleep(0)
            allowed = ResponseBudget(self._place + path, most_bytes, SECONDS, READ_SECONDS)
            try:
                with allowed.granted():
                    reply = self._session.call(path, None, None, {})
                    content = self._content(reply, allowed)
            except FAILURES as error:
                if (reason := reason_of(error)).startswith(LIBRARYS_LIMIT):
                    raise allowed.refusal(f"is no HTTP: {reason}") from error
                raise Unreachable(f"{self._place} cannot be reached: {reason}") from error
        with self._counting:
            self._octets += len(content or b"")
        return content

    def _content(self, reply: Any, allowed: ResponseBudget) -> bytes | None:
        found = bytearray()
        if reply.status == 200:
            allowed.read(reply, found, is_json=False, piece_bytes=PIECE_BYTES)
            return bytes(found)
        allowed.expect_refusal()
        try:
            allowed.read(reply, found)
        except (Excessive, *FAILURES):
            logger.debug("download.long_refusal host=%s", self._place)
        if reply.status in NOT_THERE:
            return None
        what = f"{self._place} answers HTTP {reply.status} where its files should be"
        if reply.status in REFUSED:
            raise Blocked(what)
        if (pause := retry_after_seconds(reply.headers)) or reply.status == 429:
            raise RateLimited(what, pause)
        raise Unreachable(what)

    def _sleep(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise Temporary(f"stopped before {self._place} was asked")
