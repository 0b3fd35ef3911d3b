"""Connections of redis-py that notice when their server is gone, or is no master any more."""

import socket
from typing import Any, Protocol

from redis import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, MasterDownError, ReadOnlyError

from exchanges.redis.address import Address, Node

IDLE_SECONDS, PROBE_SECONDS, PROBES = 10, 3, 3  # a peer that is gone: after 19 s
# What was sent and is not acknowledged in that time ends the connection too.
UNACKNOWLEDGED_MS = 20_000
BY_NAME = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPALIVE": IDLE_SECONDS,  # macOS's name of it
    "TCP_KEEPINTVL": PROBE_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNACKNOWLEDGED_MS,
}
KEEPALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): value for name, value in BY_NAME.items() if hasattr(socket, name)
    },
}


class Finder(Protocol):
    """Says which server is the master now.

    `find` asks for it; `known` is what was said last, asked again where that is long ago.
    """

    def find(self) -> Node: ...
    def known(self) -> Node | None: ...


class _LeavesWhatIsNoMaster:
    """A server that takes no writes any more answers so: the next command goes over a new one.

    An answer breaks no connection, so that the pool would hand it out for ever.
    """

    _refused = False

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]
        except (ReadOnlyError, MasterDownError):
            self._refused = True
            raise

    def connect(self) -> None:
        """Connect, as a pool asks for before it hands a connection out."""
        if self._refused:
            self._refused = False
            self.disconnect()  # type: ignore[attr-defined]
        super().connect()  # type: ignore[misc]


class _ToMaster(_LeavesWhatIsNoMaster):
    """Goes to whichever server is the master when it connects."""

    def __init__(self, finder: Finder, **options: Any):
        self.finder = finder
        super().__init__(**options)

    def _connect(self) -> socket.socket:
        self.host, self.port = self.finder.find()
        return super()._connect()  # type: ignore[misc]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        role = (self.handshake_metadata or {}).get(b"role")  # type: ignore[attr-defined]
        if role not in (b"master", None):
            place = f"{self.host}:{self.port}"
            raise ConnectionError(f"{place} is no master any more, and its Sentinels name no other")


class TcpConnection(_LeavesWhatIsNoMaster, Connection):
    """A connection to one server."""


class TlsConnection(_LeavesWhatIsNoMaster, SSLConnection):
    """The same, encrypted."""


class UnixConnection(_LeavesWhatIsNoMaster, UnixDomainSocketConnection):
    """The same, on this machine."""


class MasterConnection(_ToMaster, Connection):
    """A connection to whichever server is the master."""


class TlsMasterConnection(_ToMaster, SSLConnection):
    """The same, encrypted."""


class ServerPool(ConnectionPool):
    """Connections to one server: where one of them breaks, idle ones are as old and go too.

    Else each of them, over a network that is gone, would cost whoever gets it a timeout.
    """

    def release(self, connection: Any) -> None:
        if not connection.is_connected:
            self.disconnect(inuse_connections=False)
        super().release(connection)


class MasterPool(ServerPool):
    """Connections to a master: none of them to one that was, be it up and answering."""

    def get_connection(self, *args: Any, **options: Any) -> Any:
        connection: Any = super().get_connection(*args, **options)
        if (connection.host, connection.port) != connection.finder.known():
            try:
                connection.disconnect()
                connection.connect()
            except BaseException:
                self.release(connection)
                raise
        return connection


def server_pool(address: Address, timeouts: dict[str, Any]) -> ConnectionPool:
    """Return the connections to the one server that an address names."""
    options = dict(address.options)
    options.pop("connection_class", None)
    if "path" in options:
        return ServerPool(UnixConnection, **timeouts | options)
    kind = TlsConnection if address.encrypted else TcpConnection
    return ServerPool(kind, **timeouts | KEEPALIVE | options)


def master_pool(address: Address, finder: Finder, timeouts: dict[str, Any]) -> ConnectionPool:
    """Return the connections to whichever server is the master."""
    options = dict(address.options)
    options.pop("connection_class", None)
    kind = TlsMasterConnection if address.encrypted else MasterConnection
    return MasterPool(kind, finder=finder, **timeouts | KEEPALIVE | options)
