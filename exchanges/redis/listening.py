"""Receiving what Redis publishes in an asyncio loop, over a connection that may be dead."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError, TimeoutError

SILENCE_SECONDS = 10.0  # then Redis is asked whether it is there, and after as many it isn't


class Listener:
    """Receives for one connection; where nothing comes, not even an answer, it says so."""

    def __init__(self, pubsub: PubSub, silence_seconds: float):
        self._pubsub = pubsub
        self._silence_seconds = silence_seconds
        self._asked = False

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message, None for what isn't one. Ends where the task is cancelled.

        Raises TimeoutError where the connection leads nowhere, and RedisError where it broke.
        """
        end_if_cancelled()
        message = await self._pubsub.get_message(timeout=self._silence_seconds)
        if message is None:
            if self._asked:
                raise TimeoutError("Redis does not answer")
            self._asked = True
            await self._pubsub.ping()
            return None
        self._asked = False
        return message if message["type"] in ("message", "pmessage") else None


@contextmanager
def used_by_others() -> Iterator[None]:
    """Raise ConnectionError where a connection broke that several tasks use.

    One of them receives, others subscribe; where all of them close it and connect anew at once,
    redis-py stumbles.
    """
    try:
        yield
    except (AttributeError, RuntimeError) as error:
        raise ConnectionError("the connection broke") from error


def end_if_cancelled() -> None:
    """A cancellation while redis-py connects may be lost in it: the task still knows of it."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
