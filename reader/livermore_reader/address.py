"""What an address means: `serve` over HTTP, or a Redis, of which there are three kinds."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from livermore_reader.errors import BadRequest

SOCKET = Path("var/valkey/server.sock")  # of the Redis that `./run` starts
NAMES = ("LIVERMORE_URL", "REDIS_URL")
KINDS = "http://host:8010, redis://host:6379/0, rediss://…, unix:///path, the path of a socket, "
KINDS += "redis+sentinel://host1,host2/mymaster/0 or redis+cluster://host1,host2/"
SERVICE = re.compile(r"[A-Za-z0-9._-]+")  # as Sentinels take it

Node = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis: one server, or what `nodes` know of: Sentinels of a `service`, or a Cluster.

    `options` are those of a connection, as redis-py takes them. `text` says where it is, without
    a password.
    """

    text: str
    options: Mapping[str, Any]
    nodes: Sequence[Node] = ()
    service: str = ""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_cluster(self) -> bool:
        return bool(self.nodes) and not self.service


def usual() -> str:
    """Return where to read if nobody says: the environment, or what runs in this folder.

    Raises BadRequest.
    """
    for name in NAMES:
        if found := os.environ.get(name, "").strip():
            return found
    here = Path.cwd()
    for folder in (here, *here.parents[:-1]):
        if (folder / SOCKET).is_socket():
            return str(folder / SOCKET)
    raise BadRequest(
        f"no address: give one ({KINDS}), set LIVERMORE_URL or REDIS_URL, or begin in the folder "
        "in which ./run runs"
    )


def is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def parse(url: str) -> Address:
    """Take the address of a Redis apart. Raises BadRequest; it repeats no password."""
    if "://" not in url and ("/" in url or url.endswith(".sock")):
        path = str(Path(url).expanduser())
        return Address(f"unix://{path}", {"unix_socket_path": path})
    scheme, _, rest = url.partition("://")
    scheme, _, kind = scheme.lower().partition("+")
    schemes = ("redis", "rediss") if kind else ("redis", "rediss", "unix")
    if not rest or scheme not in schemes or kind not in ("", "sentinel", "cluster"):
        raise BadRequest(f"that is no address: there are {KINDS}")
    if "#" in url:
        raise BadRequest("the address holds a #; of a password it is written as %23")
    return _of_nodes(scheme, kind, rest) if kind else _of_server(scheme, f"{scheme}://{rest}")


def _of_server(scheme: str, url: str) -> Address:
    options = _options(url)
    if path := options.pop("path", None):
        return Address(f"unix://{path}", options | {"unix_socket_path": path})
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return Address(f"{scheme}://{host}:{port}/{options.get('db', 0)}", options)


def _of_nodes(scheme: str, kind: str, rest: str) -> Address:
    """Take an address with several hosts apart; what all of them share stands around these."""
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    nodes = [_node(each, 26379 if kind == "sentinel" else 6379) for each in hosts.split(",")]
    service, path = path.partition("/")[::2] if kind == "sentinel" else ("", path)
    if kind == "sentinel" and not SERVICE.fullmatch(service):
        raise BadRequest(
            "the address names no master that the Sentinels watch, or one with odd letters: "
            "redis+sentinel://host1,host2/mymaster/0"
        )
    own = {
        name.removeprefix("sentinel_"): value
        for name, value in parse_qsl(query)
        if name.startswith("sentinel_")
    }
    if not own.keys() <= {"username", "password"}:
        raise BadRequest("of Sentinels there are sentinel_username and sentinel_password alone")
    others = "&".join(each for each in query.split("&") if not each.startswith("sentinel_"))
    options = _options(f"{scheme}://{user}{at}localhost/{path}?{others}")
    options = {name: value for name, value in options.items() if name not in ("host", "port")}
    if kind == "cluster" and options.pop("db", 0):
        raise BadRequest("the address names a database, and a Cluster has but one")
    text = f"{scheme}+{kind}://{','.join(f'{host}:{port}' for host, port in nodes)}/{service}"
    return Address(text, options, nodes, service, own)


def _node(text: str, usual_port: int) -> Node:
    try:
        parts = urlsplit(f"redis://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port == 0 or "@" in text:
        raise BadRequest("the address has no host, or a port that is none, between its commas")
    return unquote(host), port or usual_port


def _options(url: str) -> dict[str, Any]:
    """Return the options of a connection. Raises BadRequest."""
    from redis.connection import parse_url  # four fifths of what an import of all this would take

    try:
        parts = urlsplit(url)
        number = parts.path.strip("/")
        is_number = not number or (number.isascii() and number.isdigit())
        if "," in parts.netloc.rpartition("@")[2] or not (is_number or parts.scheme == "unix"):
            raise ValueError
        options: dict[str, Any] = dict(parse_url(url))
    except ValueError:
        raise BadRequest(
            f"the address can't be read: there are {KINDS}; special characters of a password are "
            "written as %XX, such as %2F for /"
        ) from None
    if options.pop("connection_class", None) is not None and url.startswith("rediss"):
        options["ssl"] = True
    return options
