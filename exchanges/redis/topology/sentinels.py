"""Sentinels: which server is the master that they watch."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    RedisError,
    ResponseError,
)

from exchanges.redis.address import Node

SENTINEL_SECONDS = 0.5  # for one of them: the next one may answer
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_AFTER_FAULT = 10.0  # what is known is used meanwhile

Fault = tuple[Node, Exception]


class MasterNotFound(ConnectionError):
    """No Sentinel says which server is the master: it may be one in a moment."""


class Sentinels:
    """Asks Sentinels, one after the other, beginning with the one that knew it last.

    A Sentinel that was away may name a master that was: what was said of a later failover counts.
    It keeps no connection to them. Any thread may ask.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        service: str,
        make: Callable[[Node], Redis],
        make_async: Callable[[Node], AsyncRedis],
    ):
        self._nodes = list(nodes)
        self._service = service
        self._make, self._make_async = make, make_async
        self._found: Node | None = None
        self._epoch = 0  # of the failover that made it master
        self._ask_at = 0.0
        self._lock, self._asking = threading.Lock(), threading.Lock()

    def find(self) -> Node:
        """Return where the master is. Raises MasterNotFound, or what Redis answers."""
        faults: list[Fault] = []
        for node in self._in_order():
            try:
                return self._accept(node, self._ask(node))
            except (RedisError, LookupError) as error:
                faults.append((node, error))
        raise self._failure(faults)

    async def find_async(self) -> Node:
        """Return the same where a loop runs."""
        faults: list[Fault] = []
        for node in self._in_order():
            try:
                async with self._make_async(node) as sentinel:
                    state: Any = await sentinel.sentinel_master(self._service)
                return self._accept(node, state)
            except (RedisError, LookupError, OSError) as error:
                faults.append((node, error))
        raise self._failure(faults)

    def known(self) -> Node | None:
        """Return what was found last, and ask one Sentinel where that was a while ago.

        A former master that is up takes writes until it learns that it is none: they would be lost.
        """
        if time.monotonic() > self._ask_at and self._asking.acquire(blocking=False):
            try:
                node = self._in_order()[0]
                self._ask_at = time.monotonic() + SECONDS_AFTER_FAULT
                self._accept(node, self._ask(node))
            except (RedisError, LookupError):
                with self._lock:  # another one next time
                    self._nodes.append(self._nodes.pop(0))
            finally:
                self._asking.release()
        return self._found

    def _ask(self, node: Node) -> Mapping[str, Any]:
        with self._make(node) as sentinel:
            state: Any = sentinel.sentinel_master(self._service)
            return state

    def _in_order(self) -> list[Node]:
        with self._lock:
            return list(self._nodes)

    def _accept(self, node: Node, state: Mapping[str, Any]) -> Node:
        place, epoch = (str(state["ip"]), int(state["port"])), int(state["config-epoch"])
        with self._lock:
            if epoch < self._epoch and place != self._found:
                raise MasterNotFound(f"it names {place[0]}:{place[1]}, which was the master before")
            if not state["is_master"] or state["is_sdown"] or state["is_odown"]:
                raise MasterNotFound(f"its master {place[0]}:{place[1]} is down")
            self._nodes.remove(node)
            self._nodes.insert(0, node)
            self._found, self._epoch = place, max(epoch, self._epoch)
            self._ask_at = time.monotonic() + SECONDS_BETWEEN_LOOKS
            return place

    def _failure(self, faults: Sequence[Fault]) -> RedisError:
        with self._lock:
            self._epoch = 0  # where none knows of it, they were set up anew
        said = "; ".join(f"{host}:{port}: {_in_words(error)}" for (host, port), error in faults)
        text = f"no Sentinel names the master of {self._service!r} ({said})"
        refused = faults and all(isinstance(error, AuthenticationError) for _, error in faults)
        return AuthenticationError(text) if refused else MasterNotFound(text)


def _in_words(error: Exception) -> str:
    if isinstance(error, AuthenticationError):
        return f"{error}: sentinel_password is their password"
    if isinstance(error, ResponseError) and "No such master" in str(error):
        return "it watches no master of that name"
    return str(error) or type(error).__name__
