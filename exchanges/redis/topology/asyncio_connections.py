"""The same for asyncio: connections of those who subscribe, and who publish to them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, RedisError

from exchanges.redis.address import Address, Node
from exchanges.redis.topology.connections import KEEPALIVE
from exchanges.redis.topology.sentinels import Sentinels


class Finder(Protocol):
    """Says which servers may be tried, best first, and looks at the one that let us in."""

    async def candidates(self) -> Sequence[Node]: ...
    async def look_at(self, connection: Connection) -> None: ...


class OfSentinels:
    """The master that Sentinels name."""

    def __init__(self, sentinels: Sentinels):
        self._sentinels = sentinels

    async def candidates(self) -> Sequence[Node]:
        return [await self._sentinels.find_async()]

    async def look_at(self, connection: Connection) -> None:
        """Raise ConnectionError where it is no master any more."""
        role = (await _asked(connection, "HELLO")).get(b"role")
        if role not in (b"master", None):
            place = f"{connection.host}:{connection.port}"
            raise ConnectionError(f"{place} is no master any more, and its Sentinels name no other")


class OfCluster:
    """Any node of a Cluster: what is published reaches all of them."""

    def __init__(self, nodes: Sequence[Node]):
        self._named = list(nodes)
        self._told: list[Node] = []

    async def candidates(self) -> Sequence[Node]:
        return [*self._told, *(node for node in self._named if node not in self._told)]

    async def look_at(self, connection: Connection) -> None:
        """Learn the other nodes. Raise ConnectionError where this one is cut off from them."""
        place = connection.host, connection.port
        self._told = [node for node in self._told if node != place]
        state = await _answer(connection, "CLUSTER", "INFO")
        if b"cluster_state:ok" not in state:
            self._told.append(place)  # the last one that is tried
            raise ConnectionError(f"{place[0]}:{place[1]} says that the Cluster is down")
        slots = await _answer(connection, "CLUSTER", "SLOTS")
        masters = [(_text(master[0]) or place[0], int(master[1])) for _, _, master, *_ in slots]
        self._told = list(dict.fromkeys([place, *masters]))


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
        raise fault

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        await self.finder.look_at(self)  # type: ignore[arg-type]


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


async def _asked(connection: Connection, command: str) -> Mapping[bytes, Any]:
    found = await _answer(connection, command)
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
