"""Calls of exchanges, in threads of their own: one that hangs holds up nobody but who waits for it.

What is read from Redis has other threads, so it is answered meanwhile.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, TypeVar

from exchanges.daemon_threads import Workers
from exchanges.errors import Permanent
from serving.candles.unavailable import Unavailable
from serving.counting.asked import current_client
from serving.directory import ServedExchange

Answer = TypeVar("Answer")

CALLS_AT_ONCE = 4  # of one exchange
LONGEST_QUEUE = 100  # of those that wait for one exchange


class Displaced(Unavailable):
    """A call that waited has made room for one of a client that has fewer waiting."""


class Calls:
    """Calls each exchange in a few threads. Used in the event loop's thread alone.

    Clients that wait for one exchange take turns. Where too much waits, it is the newest call of
    the client with most of them that is given up.
    """

    def __init__(self) -> None:
        self._queues: dict[int, _Queue] = {}

    async def call(
        self, exchange: ServedExchange, work: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        """Return what `work` returns, raise what it raises.

        Raises Permanent where a person has switched the exchange off, and Unavailable where too
        much waits for it already, of this client more than of others.
        """
        number = exchange.exchange_id
        if not exchange.is_active:
            raise Permanent(f"{exchange.name} is switched off: activate it in the admin first")
        if number not in self._queues:
            self._queues[number] = _Queue(exchange)
        return await self._queues[number].call(current_client(), work, *arguments)


class _Queue:
    """Calls of one exchange: a few that are under way, the others by the client who waits."""

    def __init__(self, exchange: ServedExchange) -> None:
        self._too_many = f"{LONGEST_QUEUE} requests wait for {exchange.name} already"
        self._workers = Workers(CALLS_AT_ONCE, f"serve-{exchange.exchange_id}")
        self._under_way = 0
        # Each client's own in the order in which they came; whose turn is next is first.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def call(self, client: str, work: Callable[..., Answer], *arguments: Any) -> Answer:
        await self._turn(client)
        try:
            return await asyncio.wrap_future(self._workers.submit(work, *arguments))
        finally:
            self._end_turn()

    async def _turn(self, client: str) -> None:
        self._make_room(client)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        self._give_turns()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given in this very moment
                self._end_turn()
            raise

    def _make_room(self, client: str) -> None:
        """Give up a call where too many wait. Raises Unavailable where that is the new one."""
        counts = {each: len(turns) for each, turns in self._waiting.items()}
        if self._under_way + sum(counts.values()) < LONGEST_QUEUE:
            return
        most = max(counts, key=counts.__getitem__, default=client)
        if counts.get(most, 0) <= counts.get(client, 0) + 1:
            raise Unavailable(self._too_many)
        given_up = self._waiting[most].pop()
        if not given_up.done():
            given_up.set_exception(Displaced(self._too_many))

    def _give_turns(self) -> None:
        while self._waiting and self._under_way < CALLS_AT_ONCE:
            client, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns
            if not turn.done():  # else who waited has gone
                turn.set_result(None)
                self._under_way += 1

    def _end_turn(self) -> None:
        self._under_way -= 1
        self._give_turns()
