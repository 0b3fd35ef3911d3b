"""Calls of exchanges, in threads of their own: one that hangs holds up nobody but who waits for it.

What is read from Redis has other threads, so it is answered meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from exchanges.daemon_threads import Workers
from exchanges.errors import Permanent
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange

Answer = TypeVar("Answer")

CALLS_AT_ONCE = 4  # of one exchange
LONGEST_QUEUE = 100  # of those that wait for one exchange


class Calls:
    """Calls each exchange in a few threads. Used in the event loop's thread alone."""

    def __init__(self) -> None:
        self._workers: dict[int, Workers] = {}
        self._under_way: Counter[int] = Counter()

    async def call(
        self, exchange: ServedExchange, work: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """Return what `work` returns, raise what it raises.

        Raises Permanent where a person has switched the exchange off, and Unavailable where too
        much waits for it already.
        """
        number = exchange.exchange_id
        if not exchange.is_active:
            raise Permanent(f"{exchange.name} is switched off: activate it in the admin first")
        if self._under_way[number] >= LONGEST_QUEUE:
            raise Unavailable(f"{LONGEST_QUEUE} requests wait for {exchange.name} already")
        if number not in self._workers:
            self._workers[number] = Workers(CALLS_AT_ONCE, f"serve-{number}")
        self._under_way[number] += 1
        try:
            return await asyncio.wrap_future(self._workers[number].submit(work, *arguments))
        finally:
            self._under_way[number] -= 1
