"""The one place where clients of Redis are made: for one server, for Sentinels, for a Cluster.

`make_client` and `own_client` return what has redis-py's commands, wherever the address leads:
`Redis`, or for a Cluster a `ClusterClient`, which is called in the same way.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from exchanges.redis.address import Address, Kind, Node, parse_address
from exchanges.redis.topology.asyncio_connections import (
    Finder,
    OfCluster,
    OfSentinels,
    asyncio_pool,
)
from exchanges.redis.topology.cluster import ClusterClient
from exchanges.redis.topology.connections import master_pool, server_pool
from exchanges.redis.topology.sentinels import SENTINEL_SECONDS, Sentinels

LONGEST_CONNECTING_SECONDS = 1.0
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 10.0
ASYNCIO_SECONDS = 5.0  # of one who subscribes: a message may let wait for it as long as it likes
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


def own_client(redis: Redis, socket_timeout: float) -> Redis:
    """Return a client of the same server with connections and timeouts of its own, no retries."""
    timeouts = _timeouts(min(socket_timeout, LONGEST_CONNECTING_SECONDS), socket_timeout)
    if isinstance(redis, ClusterClient):
        others = {k: v for k, v in redis.address.options.items() if k not in timeouts}
        return _make(replace(redis.address, options=others), timeouts)
    pool = redis.connection_pool
    options = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(MADE_BY_POOLS)
    }
    options |= timeouts | {"retry_on_error": [], "decode_responses": False}
    return Redis.from_pool(type(pool)(pool.connection_class, **options))


def make_asyncio_client(url: str, connect_seconds: float = CONNECT_SECONDS) -> AsyncRedis:
    """Return a client of the running loop, for those who subscribe and publish. Raises BadAddress.

    Of a Cluster it has one node: what is published there reaches all of them.
    """
    address = parse_address(url)
    timeouts = {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": ASYNCIO_SECONDS,
        "retry": AsyncRetry(NoBackoff(), 0),
    }
    return AsyncRedis.from_pool(asyncio_pool(address, _finder(address), timeouts))


def masters(redis: Redis) -> list[tuple[str, Redis]]:
    """Return a client of each server that takes writes, by its name: "" where there is but one."""
    return redis.masters() if isinstance(redis, ClusterClient) else [("", redis)]


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


def _finder(address: Address) -> Finder | None:
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


def _timeouts(connect_seconds: float, answer_seconds: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),
    }
