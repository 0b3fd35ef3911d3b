"""One process at a time fetches of an exchange what programs wait for, on whichever machine."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import Temporary
from livermore.market import keys

TURN_MS = 6_000  # a process that died blocks the others so long
SECONDS_BETWEEN_SIGNS = 2.0
SECONDS_BETWEEN_TRIES = 0.02
LONGEST_WAIT_SECONDS = 30.0


class TurnTaken(Temporary):
    """Another process has fetched of the exchange for as long as one may wait."""


@contextmanager
def turn(redis: Redis, exchange_id: int) -> Iterator[None]:
    """Wait for the others, and let them wait until the block ends.

    What they have fetched meanwhile is in the cache. Raises TurnTaken, and RedisError.
    """
    name, own = keys.fetch_turn(exchange_id), secrets.token_hex(8).encode()
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not redis.set(name, own, nx=True, px=TURN_MS):
        if time.monotonic() > deadline:
            raise TurnTaken("other processes fetch what is missing, and that takes long")
        time.sleep(SECONDS_BETWEEN_TRIES)
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(SECONDS_BETWEEN_SIGNS):
            with suppress(RedisError):  # then it may pass on: a stretch is fetched twice
                redis.pexpire(name, TURN_MS)

    threading.Thread(target=renew, name=f"fetch-turn-{exchange_id}", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with suppress(RedisError):  # it ends by itself
            if redis.get(name) == own:
                redis.delete(name)
