"""What time it is at each exchange, as its runner tells it: this machine's clock may be off."""

import threading
import time

from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.status import read_exchange_time

SECONDS_BETWEEN_READS = 1.0


class Clocks:
    """Tells times at once; what they are by is read now and then, in a thread of its own."""

    def __init__(self, redis: Redis):
        self._redis = redis
        self._ahead_ms: dict[int, int] = {}  # exchange id -> how far its clock is before ours
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exchange-clocks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()

    def now_ms(self, exchange_id: int) -> int:
        """Return the exchange's time; where nobody has told it, this machine's."""
        if exchange_id not in self._ahead_ms:
            self._ahead_ms[exchange_id] = 0  # and from now on it is read
        return int(time.time() * 1000) + self._ahead_ms[exchange_id]

    def read(self, exchange_id: int) -> None:
        """Learn the time of one. Raises RedisError."""
        told_ms = read_exchange_time(self._redis, exchange_id)
        if told_ms is not None:
            self._ahead_ms[exchange_id] = told_ms - int(time.time() * 1000)

    def _run(self) -> None:
        while not self._ending.wait(SECONDS_BETWEEN_READS):
            for exchange_id in list(self._ahead_ms):
                try:
                    self.read(exchange_id)
                except RedisError:
                    break  # what was known goes on; who asks for candles learns that it is gone
