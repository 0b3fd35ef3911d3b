"""The same for asyncio: connections of those who subscribe, and who publish to them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, RedisError

from exchanges.redis.address import Address, Node
from exchanges.redis.topology.connections import KEEPALIVE
from exchanges.redis.topology.sentinels import Sentinels


class Finder(Protocol):
    """Says which servers may be tried, best first; is told of those that did not let us in."""

    async def candidates(self) -> Sequence[Node]: ...
    async def look_at(self, connection: Connection) -> None: ...
    def failed(self, node: Node) -> None: ...


class OfSentinels:
    """The master that Sentinels name."""

    def __init__(self, sentinels: Sentinels):
        self._sentinels = sentinels

    async def candidates(self) -> Sequence[Node]:
        return [await self._sentinels.find_async()]

    async def look_at(self, connection: Connection) -> None:
        """Raise ConnectionError where it is no master any more."""
        greeting = await _answer(connection, "HELLO")
        role = greeting.get(b"role") if isinstance(greeting, Mapping) else None
        if role not in (b"master", None):
            place = f"{connection.host}:{connection.port}"
            raise ConnectionError(f"{place} is no master any more, and its Sentinels name no other")

    def failed(self, node: Node) -> None:
        """The Sentinels will find out too."""


class OfCluster:
    """Any node of a Cluster: what is published reaches all of them."""

    def __init__(self, nodes: Sequence[Node]):
        self._named = list(nodes)
        self._nodes = list(nodes)

    async def candidates(self) -> Sequence[Node]:
        return list(self._nodes)

    async def look_at(self, connection: Connection) -> None:
        """Learn the other nodes. Raise ConnectionError where this one is cut off from them."""
        host, port = connection.host, connection.port
        if b"cluster_state:ok" not in await _answer(connection, "CLUSTER", "INFO"):
            raise ConnectionError(f"{host}:{port} says that the Cluster is down")
        slots = await _answer(connection, "CLUSTER", "SLOTS")
        masters = [(_text(master[0]) or host, int(master[1])) for _, _, master, *_ in slots]
        self._nodes = list(dict.fromkeys([(host, port), *masters, *self._named]))

    def failed(self, node: Node) -> None:
        """Try it last: one that stands still lets in whoever comes, and then says nothing."""
        self._nodes = [*(each for each in self._nodes if each != node), node]


class _Finding:
    """Goes to a server that is found when it connects."""

    def __init__(self, finder: Finder, **options: Any):
        self.finder = finder
        super().__init__(**options)

    async def _connect(self) -> None:
        fault: Exception = ConnectionError("there is no server")
        for node in await self.finder.candidates():
            self.host, self.port = node
            try:
                return await super()._connect()  # type: ignore[misc]
            except (OSError, TimeoutError, RedisError) as error:
                fault = error
                self.finder.failed(node)
        raise fault

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        try:
            await super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
            await self.finder.look_at(self)  # type: ignore[arg-type]
        except (OSError, TimeoutError, RedisError):
            self.finder.failed((self.host, self.port))
            raise


class FoundConnection(_Finding, Connection):
    """A connection to whichever server is found."""


class TlsFoundConnection(_Finding, SSLConnection):
    """The same, encrypted."""


def asyncio_pool(
    address: Address, finder: Finder | None, timeouts: dict[str, Any]
) -> ConnectionPool:
    """Return connections to the server that an address names, or to one that is found."""
    options = dict(address.options)
    options.pop("connection_class", None)
    if "path" in options:
        return ConnectionPool(UnixDomainSocketConnection, **timeouts | options)
    if finder is None:
        kind = SSLConnection if address.encrypted else Connection
        return ConnectionPool(kind, **timeouts | KEEPALIVE | options)
    found = TlsFoundConnection if address.encrypted else FoundConnection
    return ConnectionPool(found, finder=finder, **timeouts | KEEPALIVE | options)


async def _answer(connection: Connection, *command: str) -> Any:
    await connection.send_command(*command, check_health=False)
    return await connection.read_response()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
