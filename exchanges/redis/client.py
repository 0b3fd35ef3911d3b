"""The one place where clients of Redis are made: for one server, for Sentinels, for a Cluster.

`make_client` and `own_client` return what has redis-py's commands, wherever the address leads:
`Redis`, or for a Cluster a `ClusterClient`, which is called in the same way.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

from redis import Connection, Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from exchanges.redis.address import Address, Kind, Node, parse_address
from exchanges.redis.topology.asyncio_connections import (
    Finder,
    OfCluster,
    OfSentinels,
    asyncio_pool,
)
from exchanges.redis.topology.cluster import ClusterClient
from exchanges.redis.topology.connections import (
    MasterPool,
    ServerPool,
    master_pool,
    server_pool,
)
from exchanges.redis.topology.sentinels import SENTINEL_SECONDS, Sentinels

LONGEST_CONNECTING_SECONDS = 1.0
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 10.0
ASYNCIO_SECONDS = 5.0  # of one who subscribes: a message may let wait for it as long as it likes
# No round trips in which redis-py introduces itself, nor servers that make timeouts longer.
PLAIN: dict[str, Any] = {
    "driver_info": None,
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}
MADE_BY_POOLS = ("maint_", "orig_", "himport_")  # options that a pool makes for itself


def make_client(
    url: str, connect_seconds: float = CONNECT_SECONDS, answer_seconds: float = ANSWER_SECONDS
) -> Redis:
    """Return a client of what an address names; it connects when it is used.

    It tries nothing again. Raises BadAddress.
    """
    return client_of(parse_address(url), connect_seconds, answer_seconds)


def client_of(address: Address, connect_seconds: float, answer_seconds: float) -> Redis:
    """Return a client of an address that was taken apart."""
    return _make(address, _timeouts(connect_seconds, answer_seconds))


def own_client(redis: Redis, socket_timeout: float | None, name: str = "") -> Redis:
    """Return a client of the same server with connections and timeouts of its own, no retries.

    `socket_timeout` None is as long as `redis` waits. In CLIENT LIST an operator sees its
    connections as `livermore:name`.
    """
    if isinstance(redis, ClusterClient):
        given, introduce = redis.timeouts, _introduce
    else:
        given, introduce = redis.connection_pool.connection_kwargs, _connect
    seconds = given.get("socket_timeout") if socket_timeout is None else socket_timeout
    seconds = ANSWER_SECONDS if seconds is None else seconds
    mine = _timeouts(min(seconds, LONGEST_CONNECTING_SECONDS), seconds)
    if name:
        mine["redis_connect_func"] = partial(introduce, name=f"livermore:{name}")
    if isinstance(redis, ClusterClient):
        others = {k: v for k, v in redis.address.options.items() if k not in mine}
        return _make(replace(redis.address, options=others), mine)
    pool = redis.connection_pool
    options = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(MADE_BY_POOLS)
    }
    options |= mine | {"retry_on_error": [], "decode_responses": False}
    kind = MasterPool if isinstance(pool, MasterPool) else ServerPool
    return Redis.from_pool(kind(pool.connection_class, **options))


def close_idle(redis: Redis) -> None:
    """Close the connections that nobody uses now; they are opened again where they are needed."""
    for _, server in masters(redis):
        server.connection_pool.disconnect(inuse_connections=False)


def make_asyncio_client(url: str, connect_seconds: float = CONNECT_SECONDS) -> AsyncRedis:
    """Return a client of the running loop, for those who subscribe and publish. Raises BadAddress.

    Of a Cluster it has one node: what is published there reaches all of them.
    """
    address = parse_address(url)
    timeouts = _timeouts(connect_seconds, ASYNCIO_SECONDS) | {"retry": AsyncRetry(NoBackoff(), 0)}
    return AsyncRedis.from_pool(asyncio_pool(address, _finder(url), timeouts))


def is_cluster(redis: Redis) -> bool:
    """Tell whether some of it may be away while the rest answers."""
    return isinstance(redis, ClusterClient)


def masters(redis: Redis) -> list[tuple[str, Redis]]:
    """Return a client of each server that takes writes, by its name: "" where there is but one."""
    return redis.masters() if isinstance(redis, ClusterClient) else [("", redis)]


def plain_databases(redis: Redis) -> Iterator[tuple[int, Redis]]:
    """Yield the other databases of a server that hold keys, each with a client of it.

    A Cluster has none, nor has a server that does not say. Who uses a client closes it.
    """
    if isinstance(redis, ClusterClient):
        return
    try:
        held: Any = redis.info("keyspace")
    except ResponseError:
        return
    pool = redis.connection_pool
    options = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(MADE_BY_POOLS)
    }
    ours = int(options.get("db") or 0)
    for number in sorted(int(name.removeprefix("db")) for name in held):
        if number != ours:
            others = type(pool)(pool.connection_class, **options | {"db": number})
            yield number, Redis.from_pool(others)


def name_at_each(redis: Redis, name: Callable[[int], str]) -> Sequence[str]:
    """Return names that `name` makes of numbers, such that each server has one of them."""
    if isinstance(redis, ClusterClient):
        return list(redis.name_at_each(name).values())
    return [name(0)]


def count_listeners(redis: Redis, channel: str) -> int:
    """Return how many connections subscribe to a channel, whichever node of a Cluster they have."""
    everywhere: dict[str, Any] = {}
    if isinstance(redis, ClusterClient):
        everywhere = {"target_nodes": "all"}
    counts: Any = redis.pubsub_numsub(channel, **everywhere)
    return sum(count for _, count in counts)


class Connections:
    """Django's cache's clients: one of each address, for all threads of the process."""

    _clients: dict[str, Redis] = {}
    _lock = threading.Lock()

    def __init__(self, options: Mapping[str, Any]):
        """Take what django-redis gives: nothing of it changes a client."""

    def connect(self, url: str) -> Redis:
        with self._lock:
            if url not in self._clients:
                self._clients[url] = make_client(url)
            return self._clients[url]

    def disconnect(self, connection: Redis) -> None:
        connection.close()


def _make(address: Address, timeouts: dict[str, Any]) -> Redis:
    match address.kind:
        case Kind.SENTINEL:
            return Redis.from_pool(master_pool(address, _sentinels(address), timeouts))
        case Kind.CLUSTER:
            return cast(Redis, ClusterClient(address, timeouts))
    return Redis.from_pool(server_pool(address, timeouts))


@cache
def _finder(url: str) -> Finder | None:
    """Return one for all who connect: it knows which nodes did not let others in."""
    address = parse_address(url)
    match address.kind:
        case Kind.SENTINEL:
            return OfSentinels(_sentinels(address))
        case Kind.CLUSTER:
            return OfCluster(address.nodes)
    return None


def _sentinels(address: Address) -> Sentinels:
    options = {
        name: value
        for name, value in address.options.items()
        if name.startswith("ssl_") and name != "ssl"
    }
    options |= dict(address.sentinel_options)
    options |= _timeouts(SENTINEL_SECONDS, SENTINEL_SECONDS)
    options |= {"ssl": address.encrypted, "decode_responses": True}
    return Sentinels(
        address.nodes,
        address.service,
        partial(_sentinel, Redis, options),
        partial(_sentinel, AsyncRedis, options | {"retry": AsyncRetry(NoBackoff(), 0)}),
    )


def _sentinel(kind: type, options: Mapping[str, Any], node: Node) -> Any:
    host, port = node
    return kind(host=host, port=port, **options)


def _connect(connection: Connection, name: str) -> None:
    """Do what redis-py does with a new connection, and say whose it is."""
    connection.on_connect()
    _introduce(connection, name)


def _introduce(connection: Connection, name: str) -> None:
    with suppress(ResponseError):  # who may not say that may do all the rest
        connection.send_command("CLIENT", "SETNAME", name)
        connection.read_response()


def _timeouts(connect_seconds: float, answer_seconds: float) -> dict[str, Any]:
    return PLAIN | {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),
    }
