"""Whether it is a web page that asks: what needs no token is for programs of this machine alone.

A browser sends whatever any page has it send, to this machine too. It tells, in headers that no
page can change, whose page that is, and which name the page believes this machine to have: a name
of its own that leads here for a moment (DNS rebinding) would make it one origin with this server.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from django.http.request import split_domain_port, validate_host
from multidict import MultiMapping

SETTING = "LIVERMORE_ALLOWED_HOSTS"
ELSEWHERE = ("cross-site", "same-site")  # as Sec-Fetch-Site says of pages of other origins
LONGEST_NAME = 60
FOREIGN = (
    "A web page of another origin is let in with a Bearer token alone, or with one in the path"
)


def of_page(headers: MultiMapping[str]) -> str:
    """Return why the page that asks is not let in, "" where it is, or where no page asks."""
    origin, host = headers.get("Origin"), headers.get("Host", "")
    is_foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
    if headers.get("Sec-Fetch-Site") in ELSEWHERE and not _follows_a_link(headers):
        is_foreign = True
    return FOREIGN if is_foreign else ""


def of_host(host: str | None, allowed: Sequence[str]) -> str:
    """Return why what a server is called here may be another's name, "" where it can't be.

    `allowed` are names that lead here, as Django's ALLOWED_HOSTS has them.
    """
    if host is None or is_ours(host, tuple(allowed)):
        return ""
    shown = ascii(host[:LONGEST_NAME])
    return f"{shown} is no name of this server: ask it by its address, or add it to {SETTING}"


@lru_cache(maxsize=256)
def is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether a Host header can't be a name that leads elsewhere at another time."""
    name, _ = split_domain_port(host)
    try:
        ipaddress.ip_address(name.strip("[]"))
        return True
    except ValueError:
        local = name == "localhost" or name.endswith(".localhost")
        return local or bool(name and validate_host(name, allowed))


def _follows_a_link(headers: MultiMapping[str]) -> bool:
    """Tell whether somebody opens this as a page of its own: the other one can't read it."""
    how, where = headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")
    return how == "navigate" and where == "document"
