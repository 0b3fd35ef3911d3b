"""The hosts that may be called though they are private: LIVERMORE_PRIVATE_EXCHANGE_HOSTS."""

import re
from contextlib import suppress

from django.conf import settings

LISTED_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})")


def split_listed(entry: str) -> tuple[str, int | None]:
    """Return host and port of an entry of LIVERMORE_PRIVATE_EXCHANGE_HOSTS, None for all ports.

    An IPv6 address with a port is in brackets. Raises ValueError where the port is none.
    """
    text = entry.strip()
    found = LISTED_WITH_PORT.fullmatch(text)
    if not found:
        return _plain(text), None
    port = int(found[2])
    if not 0 < port < 65_536:
        raise ValueError(f"{port} is no port")
    return _plain(found[1]), port


def is_listed(host: str, port: int | None) -> bool:
    """Tell whether somebody listed a host for this port; for all of them where it is None."""
    return any(name == _plain(host) and only in (None, port) for name, only in _listed())


def _listed() -> list[tuple[str, int | None]]:
    found = []
    for entry in settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS:
        with suppress(ValueError):  # the system checks name it
            found.append(split_listed(entry))
    return found


def ports_allowed(host: str) -> str:
    """Return at which ports alone a host may be called, "" where it is not listed at all."""
    ports = [str(port) for name, port in _listed() if name == _plain(host)]
    return f", allowed at port {' and '.join(ports)} alone" if ports else ""


def entry_for(host: str, port: int) -> str:
    """Return the entry that would let a host be called, no more of it than is needed."""
    if not ports_allowed(host):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()
