"""What an exchange answered to another process that serves: one asks it, and leaves it for all."""

import hashlib
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError

from livermore.market import keys

CLAIM, CLAIM_MS = b"asked", 15_000  # for which the others wait for one that died
SECONDS_BETWEEN_LOOKS = 0.02
LARGEST = 8_000_000  # bytes, packed; no listing is as large

Told = tuple[Any, float]  # what the exchange answered, and at which time (epoch)


class AnswersBeside:
    """Shares answers with other processes through Redis. Any thread may ask.

    Where Redis does not answer each process asks the exchange for itself.
    """

    def __init__(self, redis: Redis):
        self._redis = redis

    def get(
        self, exchange_id: int, request: str, holds_seconds: float, ask: Callable[[], Any]
    ) -> Told:
        """Return what another process was told less than `holds_seconds` ago, else what `ask` is.

        Raises what that raises.
        """
        name = keys.passed(exchange_id, hashlib.sha256(request.encode()).hexdigest()[:32])
        try:
            found = self._found(name)
        except (RedisError, ValueError, zlib.error):
            return ask(), time.time()
        return found or self._ask(name, holds_seconds, ask)

    def _found(self, name: str) -> Told | None:
        """Return what is there, waiting for one who asks; None where it is ours to ask."""
        deadline = time.monotonic() + CLAIM_MS / 1000
        while not self._redis.set(name, CLAIM, nx=True, px=CLAIM_MS):
            stored: Any = self._redis.get(name)
            if stored and stored != CLAIM:
                content, told_at = orjson.loads(zlib.decompress(stored))
                return content, float(told_at)
            if time.monotonic() > deadline:
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def _ask(self, name: str, holds_seconds: float, ask: Callable[[], Any]) -> Told:
        packed = b""
        try:
            told = ask(), time.time()
            packed = zlib.compress(orjson.dumps(told), 1)
            return told
        finally:
            with suppress(RedisError):  # the claim ends by itself
                if 0 < len(packed) <= LARGEST and holds_seconds > 0:
                    self._redis.set(name, packed, px=int(1000 * holds_seconds))
                else:
                    self._redis.delete(name)
