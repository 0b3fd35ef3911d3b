"""What the Redis server can be relied upon for: that it takes what is written, and keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from exchanges.redis.client import masters, name_at_each
from exchanges.redis.unreadable import is_wrong_type
from livermore.market import keys

KEEPS_ALL = "noeviction"


@dataclass(frozen=True, slots=True)
class Memory:
    """How much memory the server uses; `limit` is None where it has none of its own.

    `evicts` names the policy by which a full server drops keys: what it drops is missing without
    a word. It is empty where the server refuses writes instead, or never is full.
    """

    used: int
    limit: int | None
    evicts: str


def refusal(redis: Redis) -> str:
    """Return why the server refuses writes, in a few words; "" where it takes them.

    It writes nothing into a string that isn't there, which changes nothing, and which a server
    that is full or a replica refuses as it would any other write. Raises RedisError where it does
    not answer. That somebody put something else there says nothing of the server. Of a Cluster
    each node that should take writes is asked.
    """
    for name in name_at_each(redis, keys.nothing):
        try:
            redis.setrange(name, 0, b"")
        except ResponseError as error:
            if not is_wrong_type(error):
                return _in_words(error)
    return ""


def read_memory(redis: Redis) -> Memory | None:
    """Return what the server tells of its memory, None where we may not ask.

    Of a Cluster it is that of all nodes, which evict as soon as one does. Raises RedisError where
    one does not answer.
    """
    found = list(read_memories(redis).values())
    if not found:
        return None
    limits = [each.limit for each in found if each.limit is not None]
    return Memory(
        sum(each.used for each in found),
        sum(limits) if len(limits) == len(found) else None,
        next((each.evicts for each in found if each.evicts), ""),
    )


def read_memories(redis: Redis) -> dict[str, Memory]:
    """Return the same of each node of a Cluster, by its name; "" is that of one server."""
    found = {name: _read_memory(server) for name, server in masters(redis)}
    return {name: memory for name, memory in found.items() if memory}


def _read_memory(server: Redis) -> Memory | None:
    try:
        found: Mapping[str, Any] = server.info("memory")
        limit = int(found["maxmemory"]) or None
        policy = str(found["maxmemory_policy"])
        return Memory(
            int(found["used_memory"]), limit, policy if limit and policy != KEEPS_ALL else ""
        )
    except (ResponseError, LookupError, ValueError):  # a server somewhere else may hide it
        return None


def _in_words(error: ResponseError) -> str:
    if isinstance(error, OutOfMemoryError):
        return "it is full"
    if isinstance(error, ReadOnlyError):
        return "it is a replica, which can't be written to"
    if isinstance(error, NoPermissionError):
        return "its user may not write"
    if str(error).startswith("MISCONF"):
        return "it can't save to its disk, and takes no writes until it can"
    if str(error).startswith("NOREPLICAS"):
        return "it lacks the replicas that it waits for"
    if isinstance(error, ClusterDownError):
        return "it is a Cluster that lacks nodes, and waits for them"
    if isinstance(error, MovedError):
        return "it is one node of a Cluster, and REDIS_URL does not say so"
    return "it refuses writes"
