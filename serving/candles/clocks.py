"""What time it is at each exchange, as its runner tells it: this machine's clock may be off.

And whether a runner streams it.
"""

import threading
import time
from typing import NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.status import State, read_status, read_status_age

SECONDS_BETWEEN_READS = 1.0
SILENCE_MS = 10_000  # of a runner that says every second that it lives


class Moment(NamedTuple):
    """What time it was at an exchange when it was `at` here, in seconds, and how it goes on.

    `pace` ms of its time go by in one of ours: 1, but for a sandbox.
    """

    at: float
    time_ms: int
    pace: float = 1.0

    def later(self, now: float) -> int:
        return self.time_ms + int(1000 * (now - self.at) * self.pace)


class Clocks:
    """Tells times at once; what they are by is read now and then, in a thread of its own."""

    def __init__(self, redis: Redis):
        self._redis = redis
        self._times: dict[int, Moment] = {}  # by exchange id
        self._told: set[int] = set()  # exchange ids whose runner has told their time
        self._streamed: dict[int, bool] = {}
        self._read_at: dict[int, float] = {}  # monotonic
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exchange-clocks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()

    def now_ms(self, exchange_id: int) -> int:
        """Return the exchange's time; where nobody has told it, this machine's."""
        now = time.time()
        found = self._times.get(exchange_id)
        return found.later(now) if found else int(now * 1000)

    def is_told(self, exchange_id: int) -> bool:
        """Tell whether a runner has told that time: else it is this machine's."""
        return exchange_id in self._told

    def is_streamed(self, exchange_id: int) -> bool:
        """Tell whether a runner says that it streams: else what is told as open may be old."""
        age = time.monotonic() - self._read_at.get(exchange_id, float("-inf"))
        return self._streamed.get(exchange_id, False) and age < SILENCE_MS / 1000

    def knows(self, exchange_id: int) -> bool:
        """Tell whether that time was read: what is answered before that may be hours off."""
        return exchange_id in self._times

    def read(self, exchange_id: int) -> None:
        """Learn the time of one, now and from now on. Raises RedisError."""
        status = read_status(self._redis, exchange_id)
        age_ms = read_status_age(self._redis, exchange_id)
        told_ms = None if age_ms is None else status.exchange_time_ms(age_ms)
        is_alive = age_ms is not None and age_ms < SILENCE_MS
        self._streamed[exchange_id] = is_alive and status.state is State.ACTIVE
        self._read_at[exchange_id] = time.monotonic()
        now = time.time()
        if told_ms is None:
            self._times.setdefault(exchange_id, Moment(now, int(now * 1000)))
        else:
            self._times[exchange_id] = Moment(now, told_ms, status.exchange_pace)
            self._told.add(exchange_id)

    def _run(self) -> None:
        while not self._ending.wait(SECONDS_BETWEEN_READS):
            for exchange_id in list(self._times):
                try:
                    self.read(exchange_id)
                except RedisError:
                    break  # what was known goes on; who asks for candles learns that it is gone
