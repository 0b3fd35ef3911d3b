"""Which keys have changed, as Redis itself tells it: what was read before is then read again.

Redis's server-assisted client-side caching, in its broadcasting mode: every change of a key that
begins with one of our prefixes is told on one connection, whoever writes it, an expiry or a flush
included (https://redis.io/docs/latest/develop/reference/client-side-caching/).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from redis import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from exchanges.redis.client import is_cluster, own_client

logger = logging.getLogger(__name__)

CHANNEL = "__redis__:invalidate"
PING_SECONDS = 1.0
SILENCE_SECONDS = 3.0  # without even an answer to a ping: nothing that is remembered is believed
SECONDS_BETWEEN_TRIES = 0.5


class Changes:
    """When keys changed last, as numbers that only rise: of those alone that somebody asks about.

    One thread notes them, any may ask. Who asks before a key is read, and is told the same number
    later, has read what is there.
    """

    def __init__(self) -> None:
        self._count = self._of_all = 0
        self._of: dict[bytes, int] = {}

    def last(self, *names: bytes) -> int:
        """Return the number of the last change of any of these keys."""
        of_all = self._of_all  # first: what is told of single ones before all changed is forgotten
        return max(of_all, *(self._of.setdefault(name, 0) for name in names))

    def note(self, names: Sequence[bytes] | None) -> None:
        """Learn which keys have changed, None for all of them."""
        self._count += 1
        if names is None:
            self._of_all, self._of = self._count, {}
            return
        for name in names:
            if name in self._of:
                self._of[name] = self._count

    def __len__(self) -> int:
        """Return of how many keys it is known."""
        return len(self._of)


class Tracking:
    """Calls `changed(keys)` for changed keys, None for all of them, from a thread of its own.

    `is_live` is False while nothing would be told of a change.
    """

    def __init__(
        self,
        redis: Redis,
        prefixes: Sequence[str],
        changed: Callable[[Sequence[bytes] | None], None],
    ):
        self._redis = redis
        self._prefixes = prefixes
        self._changed = changed
        self._answered_at = float("-inf")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-tracking", daemon=True)

    def start(self) -> None:
        """Begin; of a Cluster nothing is tracked, as each of its servers tells of its own keys."""
        if not is_cluster(self._redis):
            self._thread.start()

    def close(self) -> None:
        """Let the thread end, a second later at the most."""
        self._ending.set()

    @property
    def is_live(self) -> bool:
        return time.monotonic() - self._answered_at < SILENCE_SECONDS

    def _run(self) -> None:
        failing = False
        while not self._ending.is_set():
            try:
                self._listen()
                failing = False
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("tracking.broken error=%s", error)
                failing = True
            self._answered_at = float("-inf")
            self._ending.wait(SECONDS_BETWEEN_TRIES)

    def _listen(self) -> None:
        """Listen until that fails. What has changed before it began is unknown: all of it."""
        with own_client(self._redis, PING_SECONDS) as client:
            pool = client.connection_pool
            # The older protocol tells changes as messages, which redis-py hands on as they come.
            pool.connection_kwargs["protocol"] = 2
            connection = pool.get_connection()
            try:
                for command in self._commands(connection):
                    connection.send_command(*command)
                    connection.read_response()
                self._changed(None)
                self._answered_at = time.monotonic()
                asked = False
                while not self._ending.is_set():
                    try:
                        kind, *_, told = connection.read_response(disconnect_on_error=False)
                    except RedisTimeout:
                        if asked:
                            raise
                        connection.send_command("PING")
                        asked = True
                        continue
                    self._answered_at, asked = time.monotonic(), False
                    if kind == b"message":
                        self._changed(told)
            finally:
                connection.disconnect()

    def _commands(self, connection) -> list[tuple[str | int, ...]]:
        connection.send_command("CLIENT", "ID")
        own = connection.read_response()
        prefixes = [part for each in self._prefixes for part in ("PREFIX", each)]
        # Told to itself, on the channel that the older protocol has for it.
        return [
            ("CLIENT", "TRACKING", "ON", "REDIRECT", own, "BCAST", *prefixes),
            ("SUBSCRIBE", CHANNEL),
        ]
