"""A Cluster: each key has a server of its own, and they change."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline
from redis.commands import RedisClusterCommands
from redis.event import EventDispatcher
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)
from redis.retry import Retry

from exchanges.redis.address import Address
from exchanges.redis.topology.connections import KEEPALIVE

LEFT_OUT = ("connection_class", "socket_keepalive", "health_check_interval")

STREAMS = (b"STREAMS", "STREAMS")
NAMES_TRIED = 10_000
GONE = ("cannot be connected", "are not covered", "No targets")  # how redis-py says it


class ClusterClient(RedisClusterCommands):
    """A client of all nodes of a Cluster, with the commands that one of a server has.

    It connects when it is first used. Where redis-py raises what is no RedisError it raises one.
    Any thread may call it.
    """

    _is_async_client = False  # redis-py's types ask for these two
    _event_dispatcher = EventDispatcher()

    def __init__(self, address: Address, timeouts: dict[str, Any]):
        self.address, self.timeouts = address, timeouts
        self._lock = threading.Lock()
        self._known: _Cluster | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with _as_redis_errors():
            return self._cluster().execute_command(*args, **options)

    def mget(self, keys: Any, *args: Any, **options: Any) -> Any:
        """Return the values of keys, be they of one slot or of many."""
        with _as_redis_errors():
            return self._cluster().mget_nonatomic(keys, *args)

    def ping(self, **_options: Any) -> Any:
        """Ask all nodes that take writes whether they are there."""
        return all(client.ping() for _, client in self.masters())

    def pipeline(self, transaction: bool | None = None, shard_hint: Any = None) -> "Pipeline":
        """Return what sends commands together, to each node its own.

        A transaction is of keys of one slot.
        """
        with _as_redis_errors():
            return self._cluster().pipeline(transaction, shard_hint)

    def masters(self) -> list[tuple[str, Redis]]:
        """Return all nodes that take writes, by host and port, with a client of each."""
        with _as_redis_errors():
            cluster = self._cluster()
            return [
                (node.name, cluster.get_redis_connection(node)) for node in cluster.get_primaries()
            ]

    def slot_of(self, key: str) -> int:
        """Return the hash slot of a key."""
        with _as_redis_errors():
            return self._cluster().keyslot(key)

    def name_at_each(self, name: Callable[[int], str]) -> dict[str, str]:
        """Return, for each node that takes writes, one of the names that `name` makes of numbers.

        A node that has hardly any slots may be left out.
        """
        with _as_redis_errors():
            cluster = self._cluster()
            found: dict[str, str] = {}
            wanted = len(cluster.get_primaries())
            for number in range(NAMES_TRIED):
                key = name(number)
                found.setdefault(cluster.get_node_from_key(key).name, key)
                if len(found) == wanted:
                    break
            return found

    def close(self) -> None:
        """Close all connections; a command opens new ones."""
        with self._lock:
            if self._known:
                self._known.close()
                self._known.disconnect_connection_pools()

    def __enter__(self) -> "ClusterClient":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        """Return what redis-py's commands ask of the client that they belong to."""
        if name.startswith("__"):
            raise AttributeError(name)
        with _as_redis_errors():
            return getattr(self._cluster(), name)

    def _cluster(self) -> "_Cluster":
        with self._lock:
            if self._known is None:
                self._known = _connected(self.address, self.timeouts)
            return self._known


class Pipeline(ClusterPipeline):
    """A pipeline that takes what redis-py keeps out of one: scripts by their hash, messages."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        return self.execute_command("EVALSHA", sha, numkeys, *keys_and_args)

    def publish(self, channel: Any, message: Any, **options: Any) -> Any:
        return self.execute_command("PUBLISH", channel, message, **options)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _as_redis_errors():
            return super().execute(raise_on_error)


class _Cluster(RedisCluster):
    """Redis-py's, with pipelines of our own, which asks less of its nodes."""

    _commands: dict[str, Any] | None = None  # as the first node that was asked has them

    def command(self, **options: Any) -> Any:
        """Return what commands there are, to tell which of their words are keys."""
        if _Cluster._commands is None:
            _Cluster._commands = super().command(**options)
        return dict(_Cluster._commands)

    def _get_command_keys(self, *args: Any) -> Any:
        # Else a node is asked each time, which may be another than has the key, and be away.
        if args[0].upper() in ("XREAD", "XREADGROUP"):
            words = [each.upper() if isinstance(each, str | bytes) else each for each in args]
            names = args[words.index(next(each for each in STREAMS if each in words)) + 1 :]
            return names[: len(names) // 2]
        return super()._get_command_keys(*args)

    def pipeline(self, transaction: bool | None = None, shard_hint: Any = None) -> Pipeline:
        return Pipeline(
            nodes_manager=self.nodes_manager,
            commands_parser=self.commands_parser,
            startup_nodes=list(self.nodes_manager.startup_nodes.values()),
            result_callbacks=self.result_callbacks,
            cluster_response_callbacks=self.cluster_response_callbacks,
            reinitialize_steps=self.reinitialize_steps,
            retry=self.retry,
            lock=self._lock,
            transaction=bool(transaction),
            event_dispatcher=self._event_dispatcher,
        )


def _connected(address: Address, timeouts: dict[str, Any]) -> _Cluster:
    nodes = [ClusterNode(host, port) for host, port in address.nodes]
    given = {name: value for name, value in address.options.items() if name not in LEFT_OUT}
    options = {name: value for name, value in timeouts.items() if name not in ("retry", *LEFT_OUT)}
    if address.encrypted:
        options["ssl"] = True
    cluster = _Cluster(
        startup_nodes=nodes,
        retry=Retry(NoBackoff(), 0),
        require_full_coverage=False,  # keys of other slots are served
        **options | KEEPALIVE | given,
    )
    # Those that are named stay known, also where all that they told of have gone since.
    manager = cluster.nodes_manager
    manager.initialize = partial(  # type: ignore[method-assign]
        manager.initialize, additional_startup_nodes_info=list(address.nodes)
    )
    return cluster


@contextmanager
def _as_redis_errors() -> Iterator[None]:
    """Turn redis-py's errors of a Cluster into those that all who call Redis know."""
    try:
        yield
    except RedisClusterException as error:
        if not isinstance(error, SlotNotCoveredError) and not any(map(str(error).count, GONE)):
            raise ResponseError(str(error)) from error
        cause = _redis_error_behind(error)
        if isinstance(cause, AuthenticationError | NoPermissionError):
            raise type(cause)(str(cause)) from error
        raise ConnectionError(f"the Cluster can't be used: {cause or error}") from error


def _redis_error_behind(error: BaseException) -> RedisError | None:
    """Return what a node answered, of which redis-py makes an error without it."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, RedisError):
            return behind
        behind = behind.__cause__ or behind.__context__
    return None
