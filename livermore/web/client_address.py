"""Where a request comes from, as far as that can be believed."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "unknown"  # of who comes by a socket of this machine's files


def address(request: HttpRequest) -> str:
    """Return the IP address of whoever asks."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return address_of(request.META.get("REMOTE_ADDR", ""), forwarded)


def address_of(peer: str, forwarded: str) -> str:
    """Return the peer's address, or the one for which our own proxy passes a request on.

    A proxy writes the address that it sees behind those that it was sent: so the last counts
    alone, and where there is no proxy of ours none.
    """
    last = forwarded.rpartition(",")[2].strip()
    proxied = _plain(last) if settings.LIVERMORE_BEHIND_PROXY else ""
    return proxied or _plain(peer) or UNKNOWN


def network_of(address: str) -> str:
    """Return what one client surely has to itself: of IPv6 64 bits are given out at the least."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _plain(text: str) -> str:
    """Return an address without port, brackets or zone, IPv4 as such; empty for what is none."""
    host = text.strip().partition("%")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
