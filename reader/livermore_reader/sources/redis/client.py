"""A client of a Redis, wherever its address leads, and its errors in the words of a reader."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from livermore_reader.address import Address
from livermore_reader.errors import BadRequest, Unavailable

CONNECT_SECONDS, ANSWER_SECONDS, SENTINEL_SECONDS = 2.0, 5.0, 1.0
# Its own name and version a client would look up, a millisecond, and tell in two round trips.
UNNAMED: dict[str, Any] = (
    {"driver_info": None} if "driver_info" in signature(Redis).parameters else {}
)
LONGEST_TEXT = 500
LINES = re.compile(r"\s+")

# What has redis-py's commands: of a Cluster it is another class than of all others.
Client = Any


def connect(address: Address) -> Client:
    """Return a client; it connects when it is used, but for a Cluster.

    Raises BadRequest, RedisError.
    """
    try:
        return _client(address)
    except TypeError:
        raise BadRequest(
            f"the address {address.text} has an option that connections to Redis have not"
        ) from None


def _client(address: Address) -> Client:
    waits: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
    }
    options = waits | dict(address.options)
    # A connection may be one that Redis has ended; who does not answer is not asked again.
    again = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
    # Where options are wrong, it says so at once.
    server = Redis(**options, **UNNAMED, retry=again)
    if address.service:
        tls = {name: value for name, value in options.items() if name.startswith("ssl")}
        seconds = dict.fromkeys(waits, SENTINEL_SECONDS)
        sentinels = Sentinel(
            list(address.nodes), sentinel_kwargs=tls | seconds | dict(address.sentinel_options)
        )
        return sentinels.master_for(address.service, retry=again, **options)
    if address.nodes:
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        return RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
    return server


@contextmanager
def as_unavailable(address: Address) -> Iterator[None]:
    """Raise Unavailable for what Redis raises: where it is and what it said, in one line."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        said = LINES.sub(" ", str(error)).strip()[:LONGEST_TEXT] or type(error).__name__
        if isinstance(error, MasterNotFoundError):  # says all that redis-py knows of its clients
            said = f"no Sentinel there tells of a master {address.service!r}"
        hint = ""
        if isinstance(error, AuthenticationError):
            hint = ": the address needs its user and password"
        elif isinstance(error, NoPermissionError):
            hint = ": this user of Redis may not read what is asked for"
        raise Unavailable(f"Redis at {address.text} does not answer: {said}{hint}") from error
