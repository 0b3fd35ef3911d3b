"""Whether what REDIS_URL names is what is there: a Cluster and a Sentinel answer as a server does.

Their first answer to a client says what they are, before anything is asked of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.address import Address, Kind, Node, parse_address
from exchanges.redis.client import client_of

CONNECT_SECONDS, ANSWER_SECONDS = 0.5, 1.0
SAME_USER = "with user and password as they are"


@dataclass(frozen=True, slots=True)
class Misnamed:
    """What is there instead, and the address to write; `passing` where it may be so for a moment.

    Neither repeats a password.
    """

    fault: str
    remedy: str
    passing: bool = False


def misnamed(url: str) -> Misnamed | None:
    """Return what is there instead of what an address names; None where it is that.

    None too where nobody answers, or nobody lets us in: whoever calls it says so.
    Raises BadAddress.
    """
    address = parse_address(url)
    for server in _servers(address):
        with suppress(RedisError), client_of(server, CONNECT_SECONDS, ANSWER_SECONDS) as client:
            connection: Any = client.connection_pool.get_connection()
            greeting = connection.handshake_metadata or {}
            client.connection_pool.release(connection)
            return _compared(address, server, greeting, client)
    return None


def _servers(address: Address) -> Iterator[Address]:
    """Return each server that an address names, alone, and no database of it."""
    if address.kind is Kind.SERVER:
        yield replace(address, options={**address.options, "db": 0})
        return
    options = address.options
    if address.kind is Kind.SENTINEL:
        tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
        options = tls | dict(address.sentinel_options)
    for host, port in address.nodes:
        others = {name: value for name, value in options.items() if name != "db"}
        yield Address(Kind.SERVER, address.encrypted, others | {"host": host, "port": port})


def _compared(
    address: Address, server: Address, greeting: Mapping[bytes, Any], client: Redis
) -> Misnamed | None:
    mode, role = greeting.get(b"mode"), greeting.get(b"role")
    scheme = "rediss" if address.encrypted else "redis"
    place = _host(server)
    match address.kind, mode:
        case (Kind.SERVER, b"cluster"):
            return _instead_of_cluster(client, scheme, place)
        case (Kind.SERVER, b"sentinel"):
            return _instead_of_sentinel(client, scheme, place, address.options.get("db", 0))
        case (Kind.SERVER, b"standalone") if role != b"master":
            return _instead_of_replica(client, scheme)
        case (Kind.SENTINEL, b"sentinel"):
            return _unknown_master(client, address.service)
        case (Kind.SENTINEL, b"standalone" | b"cluster"):
            text = f"REDIS_URL names Sentinels, and {place} is a Redis server."
            return Misnamed(text, f"Give the Sentinels' ports, or write {scheme}://{place}/0.")
        case (Kind.CLUSTER, b"standalone" | b"sentinel"):
            what = "a single server" if mode == b"standalone" else "a Sentinel"
            remedy = "redis+sentinel://" if mode == b"sentinel" else f"{scheme}://{place}/0"
            return Misnamed(f"REDIS_URL names a Cluster, and {place} is {what}.", f"Use {remedy}.")
    return None


def _instead_of_cluster(client: Redis, scheme: str, place: str) -> Misnamed | None:
    nodes = [place]
    with suppress(RedisError):
        state: Any = client.execute_command("CLUSTER INFO")
        if state.get("cluster_size") in ("0", "1"):
            return None  # all keys are there
        slots: Any = client.execute_command("CLUSTER SLOTS")
        nodes = sorted({_joined((each[2][0], each[2][1])) for each in slots})
    return Misnamed(
        "REDIS_URL names one node of a Redis Cluster, which has some of the keys only.",
        f"Write {scheme}+cluster://{','.join(nodes)}/, {SAME_USER}.",
    )


def _instead_of_sentinel(client: Redis, scheme: str, place: str, number: int) -> Misnamed:
    nodes, name = [place], "NAME"
    with suppress(RedisError):
        watched: Any = client.sentinel_masters()
        name = sorted(watched)[0] if watched else name
        others: Any = client.sentinel_sentinels(name)
        nodes += sorted(_joined((each["ip"], each["port"])) for each in others)
    return Misnamed(
        "REDIS_URL names a Sentinel, which keeps no data.",
        f"Write {scheme}+sentinel://{','.join(nodes)}/{name}/{number}, with the user and password "
        "of the servers it watches; its own are ?sentinel_username=...&sentinel_password=...",
    )


def _instead_of_replica(client: Redis, scheme: str) -> Misnamed:
    master = "its master"
    with suppress(RedisError, LookupError):
        found: Any = client.info("replication")
        master = f"{scheme}://{_joined((found['master_host'], found['master_port']))}/0"
    return Misnamed(
        "REDIS_URL names a replica, which takes no writes.",
        f"Write {master}, {SAME_USER}, or the Sentinels that know which one it is.",
        passing=True,
    )


def _unknown_master(client: Redis, service: str) -> Misnamed | None:
    with suppress(RedisError):
        names: Any = client.sentinel_masters()
        if service not in names:
            known = ", ".join(sorted(names)) or "none"
            text = f"The Sentinels that REDIS_URL names watch no master {service!r}."
            return Misnamed(text, f"Masters that they watch: {known}.")
    return None


def _host(server: Address) -> str:
    options = server.options
    if "path" in options:
        return str(options["path"])
    return _joined((options.get("host", "localhost"), options.get("port", 6379)))


def _joined(node: Node) -> str:
    host, port = (each.decode() if isinstance(each, bytes) else each for each in node)
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
