"""Sentinels: which server is the master that they watch."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
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


class MasterNotFound(ConnectionError):
    """No Sentinel says which server is the master: it may be one in a moment."""


class Sentinels:
    """Asks Sentinels, one after the other, beginning with the one that knew it last.

    It keeps no connection to them. Any thread may ask.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        service: str,
        make: Callable[[Node], Redis],
        make_async: Callable[[Node], AsyncRedis],
    ):
        self.found: Node | None = None
        self._nodes = list(nodes)
        self._service = service
        self._make, self._make_async = make, make_async
        self._lock = threading.Lock()

    def find(self) -> Node:
        """Return where the master is. Raises MasterNotFound, or what Redis answers."""
        faults = []
        for node in self._in_order():
            try:
                with self._make(node) as sentinel:
                    state: Any = sentinel.sentinel_master(self._service)
                return self._accept(node, state)
            except (RedisError, LookupError) as error:
                faults.append((node, error))
        raise self._failure(faults)

    async def find_async(self) -> Node:
        """Return the same where a loop runs."""
        faults = []
        for node in self._in_order():
            try:
                async with self._make_async(node) as sentinel:
                    state: Any = await sentinel.sentinel_master(self._service)
                return self._accept(node, state)
            except (RedisError, LookupError, OSError) as error:
                faults.append((node, error))
        raise self._failure(faults)

    def _in_order(self) -> Iterator[Node]:
        with self._lock:
            return iter(list(self._nodes))

    def _accept(self, node: Node, state: Mapping[str, Any]) -> Node:
        if not state["is_master"] or state["is_sdown"] or state["is_odown"]:
            raise MasterNotFound(f"its master {state['ip']}:{state['port']} is down")
        with self._lock:
            self._nodes.remove(node)
            self._nodes.insert(0, node)
            self.found = str(state["ip"]), int(state["port"])
            return self.found

    def _failure(self, faults: Sequence[tuple[Node, Exception]]) -> RedisError:
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
