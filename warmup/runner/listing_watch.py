"""When an exchange's listing is looked at again while it is live, and the look itself."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from exchanges.symbols.fetch_listing import check_listing

logger = logging.getLogger(__name__)

LONGEST_AGE_SECONDS, SHORTEST_AGE_SECONDS = 3600.0, 300.0
SECONDS_BETWEEN_DOUBTS = 10.0  # twice as many after each look, up to five minutes
SECONDS_AFTER_FAILURE = 300.0
SECONDS_UNTIL_SURE = 60.0  # of many symbols that they trade no more


def longest_age(unchanged_seconds: float | None) -> float:
    """Return how old a listing may be, in seconds: an hour.

    Less where monitored symbols don't trade, the last of which had stopped so long before that
    listing: what has just stopped may go on soon.
    """
    if unchanged_seconds is None:
        return LONGEST_AGE_SECONDS
    return min(LONGEST_AGE_SECONDS, max(SHORTEST_AGE_SECONDS, unchanged_seconds))


class ListingWatch:
    """Looks at one exchange's listing when it is time to, in a thread that delays nothing.

    A symbol that turns out to be unknown, or of which REST has no news, is a doubt: the listing is
    looked at at once, but for the same doubts less and less often.
    """

    def __init__(
        self, exchange: Exchange, open_rest: Callable[[], VenueRest], on_check: Callable[[], object]
    ):
        """`on_check` is called after each look that went well, in its thread."""
        self._exchange = exchange
        self._open_rest = open_rest
        self._on_check = on_check
        self._doubted: set[str] = set()
        self._delays = _delays()
        self._next_doubt_at = self._next_try_at = self._doubted_at = 0.0
        self._rest: VenueRest | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def checking(self) -> bool:
        """Tell whether a look is under way."""
        return self._thread is not None and self._thread.is_alive()

    def doubt(self, symbols: Iterable[str]) -> None:
        """Learn, in any thread, of symbols that may have ended."""
        self._doubted.update(symbols)

    def step(self, is_old: bool) -> None:
        """Begin to look if it is time to; `is_old` tells whether the listing is older than it may
        be."""
        now = time.monotonic()
        if self._closed or self.checking or now < self._next_try_at:
            return
        if self._doubted and now >= self._next_doubt_at:
            if now - self._doubted_at > LONGEST_AGE_SECONDS:
                self._delays = _delays()
            self._doubted_at = now
            self._next_doubt_at = now + next(self._delays)
        elif not is_old:
            return
        self._thread = threading.Thread(target=self.check, name="listing", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Look now; what goes wrong is logged, and it is tried again in five minutes."""
        doubted = set(self._doubted)
        try:
            close_old_connections()
            with closing(self._open_rest()) as rest:
                self._rest = rest
                if not self._closed:
                    check_listing(self._exchange, rest, SECONDS_UNTIL_SURE)
        except (LivermoreError, RedisError, DatabaseError) as error:
            self._failed(error)
        except Exception as error:
            logger.exception("listing.died exchange=%s", self._exchange.name)
            self._failed(error)
        else:
            self._doubted -= doubted
            self._on_check()
        finally:
            self._rest = None
            connections.close_all()

    def close(self) -> None:
        """Look no more; one that is under way is broken off."""
        self._closed = True
        if rest := self._rest:
            rest.close()
        if self._thread:
            self._thread.join(1)

    def _failed(self, error: Exception) -> None:
        self._next_try_at = time.monotonic() + SECONDS_AFTER_FAILURE
        if not self._closed:
            logger.warning("listing.not_read exchange=%s error=%s", self._exchange.name, error)


def _delays() -> Iterator[float]:
    seconds = SECONDS_BETWEEN_DOUBTS
    while True:
        yield seconds
        seconds = min(2 * seconds, SHORTEST_AGE_SECONDS)
