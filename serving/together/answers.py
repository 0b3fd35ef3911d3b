"""What an exchange told another process that serves: one asks it, and leaves it for all."""

import hashlib
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from redis import Redis
from redis.exceptions import RedisError

from livermore.market import keys

CLAIM, CLAIM_MS = b"asked", 15_000  # for which the others wait for one that died
SECONDS_BETWEEN_LOOKS = 0.02
LARGEST = 8_000_000  # bytes, packed; no listing is as large
NONE = 0  # in place of a status: the exchange has not answered


class Answer(NamedTuple):
    """An HTTP status and what came with it, or NONE and why; of which time, and how long it holds.

    `told_at` is in seconds since 1970. `retry_seconds` is when to ask again where it did not
    answer, None where nobody knows.
    """

    status: int
    body: bytes
    told_at: float
    holds_seconds: float
    retry_seconds: int | None = None

    @property
    def left_seconds(self) -> float:
        """Return how long it holds yet."""
        return self.holds_seconds - max(0.0, time.time() - self.told_at)

    @property
    def content(self) -> Any:
        """Return what the body says."""
        return orjson.loads(self.body)

    @property
    def why(self) -> str:
        """Return why there is no answer."""
        return self.body.decode(errors="replace")

    @property
    def seconds_to_wait(self) -> int | None:
        """Return in how many seconds to ask again by now, None where nobody knows."""
        if self.retry_seconds is None:
            return None
        return max(1, self.retry_seconds - max(0, int(time.time() - self.told_at)))


class AnswersBeside:
    """Shares answers with other processes through Redis. Any thread may ask.

    Where Redis does not answer each process asks the exchange for itself.
    """

    def __init__(self, redis: Redis):
        self._redis = redis

    def get(self, exchange_id: int, request: str, ask: Callable[[], Answer]) -> Answer:
        """Return what another process was told and still holds, else what `ask` returns.

        Raises what that raises.
        """
        name = _name(exchange_id, request)
        try:
            found = self._found(name)
        except (RedisError, ValueError, TypeError, zlib.error):
            return ask()
        return found or self._ask(name, ask)

    def share(self, exchange_id: int, answers: Mapping[str, Answer]) -> None:
        """Leave for the others what was told of requests, and for those who wait for that.

        Raises RedisError.
        """
        pipe = self._redis.pipeline(transaction=False)
        for request, answer in answers.items():
            if (left_ms := int(1000 * answer.left_seconds)) > 0:
                pipe.set(_name(exchange_id, request), _packed(answer), px=left_ms)
        pipe.execute()

    def _found(self, name: str) -> Answer | None:
        """Return what is there, waiting for one who asks; None where it is ours to ask."""
        deadline = time.monotonic() + CLAIM_MS / 1000
        while not self._redis.set(name, CLAIM, nx=True, px=CLAIM_MS):
            stored: Any = self._redis.get(name)
            if stored and stored != CLAIM:
                return _read(zlib.decompress(stored))
            if time.monotonic() > deadline:
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return None

    def _ask(self, name: str, ask: Callable[[], Answer]) -> Answer:
        packed, holds_ms = b"", 0
        try:
            told = ask()
            packed, holds_ms = _packed(told), int(1000 * told.holds_seconds)
            return told
        finally:
            with suppress(RedisError):  # the claim ends by itself
                if 0 < len(packed) <= LARGEST and holds_ms > 0:
                    self._redis.set(name, packed, px=holds_ms)
                else:
                    self._redis.delete(name)


def _name(exchange_id: int, request: str) -> str:
    return keys.passed(exchange_id, hashlib.sha256(request.encode()).hexdigest()[:32])


def _packed(told: Answer) -> bytes:
    """Return a line that says what the bytes behind it are, and those."""
    head = [told.status, told.told_at, told.holds_seconds, told.retry_seconds]
    return zlib.compress(orjson.dumps(head) + b"\n" + told.body, 1)


def _read(stored: bytes) -> Answer:
    """Return what `_packed` has packed. Raises ValueError or TypeError for anything else."""
    head, _, body = stored.partition(b"\n")
    status, told_at, holds_seconds, retry_seconds = orjson.loads(head)
    retry = None if retry_seconds is None else int(retry_seconds)
    return Answer(int(status), body, float(told_at), float(holds_seconds), retry)
