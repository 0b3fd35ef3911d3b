"""The proxy that a row may name: what can stand there, and whose password is where."""

import os
from dataclasses import dataclass, field
from urllib.parse import unquote

from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from exchanges.errors import Misconfigured
from exchanges.validators import PROXY_VARIABLE, split_proxy, validate_proxy

# By which other programs are told of a proxy; they count nothing here.
OTHERS_VARIABLES = [
    name for kind in ("HTTPS", "HTTP", "ALL") for name in (f"{kind}_PROXY", f"{kind.lower()}_proxy")
]


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is and which login it wants; as text it is without user and password."""

    scheme: str
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{place(self.host, self.port)}"


def place(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@sensitive_variables()
def read_proxy(text: str) -> Proxy:
    """Return the proxy that a row names, or whose address is in the variable that it names.

    Raises Misconfigured, without what may be a password.
    """
    in_variable = PROXY_VARIABLE.fullmatch(text)
    url = os.environ.get(text, "").strip() if in_variable else text
    if in_variable and not url:
        raise Misconfigured(
            f"the row's proxy is in the variable {text}, which is not set",
            "set it for this process, to scheme://user:password@host:port, or correct the row",
        )
    try:
        if not in_variable:
            validate_proxy(text)
        parts = split_proxy(url)
    except ValidationError as error:
        where = f", in the variable {text}," if in_variable else ""
        raise Misconfigured(f"the row's proxy{where} can't be used", error.message) from None
    assert parts.hostname and parts.port  # `validate_proxy` and `split_proxy` refuse all else
    username = None if parts.username is None else unquote(parts.username)
    return Proxy(parts.scheme, parts.hostname, parts.port, username, unquote(parts.password or ""))


def unused_variables() -> list[str]:
    """Return the set ones of the variables that tell other programs of a proxy."""
    return [name for name in OTHERS_VARIABLES if os.environ.get(name)]
