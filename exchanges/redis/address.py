"""Where Redis is, as REDIS_URL says it: one server, Sentinels that know one, or a Cluster."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.connection import parse_url

PORT, SENTINEL_PORT = 6379, 26379
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+(%[A-Za-z0-9._-]+)?")
SERVICE = re.compile(r"[A-Za-z0-9._-]+")  # as Sentinels take it
OF_SENTINELS = "sentinel_"  # begins the options that are meant for the Sentinels alone
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
WRITE = (
    "Write redis://host:6379/0, rediss://..., unix:///path?db=0, "
    "redis+sentinel://host1,host2,host3/mymaster/0 or redis+cluster://host1,host2,host3/, "
    "or unset it."
)
ENCODE = "Special characters of a password are written as %XX, such as %23 for # and %2F for /."

Node = tuple[str, int]


class Kind(StrEnum):
    """How the server that takes a command is found."""

    SERVER = "server"  # it is the one that is named
    SENTINEL = "sentinel"  # Sentinels say which one it is now
    CLUSTER = "cluster"  # each key has one of its own


class BadAddress(ValueError):
    """An address that can't be called: what is wrong, and what to do. It repeats no password."""

    def __init__(self, fault: str, remedy: str = f"{WRITE} {ENCODE}"):
        super().__init__(f"{fault} {remedy}")
        self.fault, self.remedy = fault, remedy


@dataclass(frozen=True, slots=True)
class Address:
    """An address, taken apart.

    `options` are those of a connection to a server, as redis-py takes them, but for Sentinels and
    Clusters host and port. `nodes` are the Sentinels, or the nodes of a Cluster that are named.
    """

    kind: Kind
    encrypted: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    nodes: Sequence[Node] = ()
    service: str = ""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict)


def parse_address(url: str) -> Address:
    """Take an address apart. Raises BadAddress."""
    if "#" in url:
        raise BadAddress("REDIS_URL holds a #, and what comes after one is not read.", ENCODE)
    if any(each and "=" not in each for each in url.partition("?")[2].split("&")):
        raise BadAddress("REDIS_URL has an option without a value.", f"Write name=value. {ENCODE}")
    scheme, separator, rest = url.partition("://")
    scheme, _, kind = scheme.partition("+")
    if not separator or (kind and scheme not in ("redis", "rediss")):
        raise BadAddress("REDIS_URL is not an address of a Redis server.")
    encrypted = scheme == "rediss"
    match kind:
        case "":
            return Address(Kind.SERVER, encrypted, _options(url))
        case Kind.SENTINEL:
            return _of_sentinels(scheme, rest, encrypted)
        case Kind.CLUSTER:
            return _of_cluster(scheme, rest, encrypted)
    raise BadAddress("REDIS_URL is not an address of a Redis server.")


def _of_sentinels(scheme: str, rest: str, encrypted: bool) -> Address:
    user_info, hosts, path, query = _parts(rest)
    service, _, number = path.removeprefix("/").partition("/")
    if not service:
        raise BadAddress(
            "REDIS_URL does not name the master that the Sentinels watch.",
            f"Write it after the hosts, such as redis+sentinel://host1,host2/mymaster/0. {ENCODE}",
        )
    if not SERVICE.fullmatch(service):  # not repeated: it may be a part of a password
        raise BadAddress(
            "What REDIS_URL has after the hosts is not the name of a master.",
            f"It has letters, digits, and . - _ alone. {ENCODE}",
        )
    options = parse_qsl(query, keep_blank_values=True)
    own = {name: value for name, value in options if name.startswith(OF_SENTINELS)}
    if any(name not in SENTINEL_OPTIONS for name in own):
        raise BadAddress(
            "REDIS_URL has an option sentinel_..., which there is not.",
            f"There are {' and '.join(SENTINEL_OPTIONS)}.",
        )
    others = urlencode([each for each in options if each[0] not in own])
    of_server = _options(f"{scheme}://{user_info}localhost/{number}?{others}")
    of_sentinels = {name.removeprefix(OF_SENTINELS): value for name, value in own.items()}
    return Address(
        Kind.SENTINEL,
        encrypted,
        _without_host(of_server),
        _nodes(hosts, SENTINEL_PORT),
        service,
        of_sentinels,
    )


def _of_cluster(scheme: str, rest: str, encrypted: bool) -> Address:
    user_info, hosts, path, query = _parts(rest)
    options = _options(f"{scheme}://{user_info}localhost{path}?{query}")
    if options.pop("db", 0):
        raise BadAddress("REDIS_URL names a database, and a Cluster has but one.", "Leave it out.")
    return Address(Kind.CLUSTER, encrypted, _without_host(options), _nodes(hosts, PORT))


def _parts(rest: str) -> tuple[str, str, str, str]:
    """Return user and password with their @, hosts, path and query."""
    rest, _, query = rest.partition("?")
    place, slash, path = rest.partition("/")
    user_info, at, hosts = place.rpartition("@")
    return f"{user_info}{at}", hosts, f"{slash}{path}", query


def _nodes(hosts: str, usual_port: int) -> list[Node]:
    return [_node(each, usual_port) for each in hosts.split(",")]


def _node(text: str, usual_port: int) -> Node:
    try:
        parts = urlsplit(f"redis://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port == 0 or not HOST.fullmatch(host) or "@" in text:
        # What it says may be a part of a password with a / or @ in it.
        raise BadAddress("REDIS_URL has no host, or a port that is none, between its commas.")
    return host, port or usual_port


def _options(url: str) -> dict[str, Any]:
    """Return the options of a connection to one server."""
    try:
        parts = urlsplit(url)
        if "," in parts.netloc.rpartition("@")[2]:
            raise BadAddress(
                "REDIS_URL names several hosts, and does not say what they are.",
                "Write redis+sentinel://host1,host2,host3/mymaster/0 or "
                f"redis+cluster://host1,host2,host3/. {ENCODE}",
            )
        options = parse_url(url)
        known = parse_url(f"{parts.scheme}://{parts.netloc}{parts.path}")
    except BadAddress:
        raise
    except ValueError as error:
        if "Invalid value for" in str(error):
            raise BadAddress("REDIS_URL has an option with a value that it can't have.") from None
        raise BadAddress("REDIS_URL is not an address of a Redis server.") from None
    if parts.scheme == "unix":
        # What stands there without an @ is of a password with a / in it that isn't quoted.
        if "path" not in known or (parts.netloc and "@" not in parts.netloc):
            raise BadAddress("REDIS_URL is not an address of a Redis server.")
    elif (number := parts.path.strip("/")) and not (number.isascii() and number.isdigit()):
        raise BadAddress(
            "What REDIS_URL has after the host is not a database's number.",
            f"Write a number, such as redis://host:6379/0. {ENCODE}",
        )
    return options


def _without_host(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("host", "port")}
