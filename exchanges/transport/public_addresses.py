"""Which addresses and names are public, and which a proxy can have. Nothing is resolved here."""

import ipaddress
import re
import socket

HOSTNAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?")
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
GIVEN_OUT = ipaddress.ip_network("2000::/3")  # RFC 4291: of IPv6, nothing else is public
INSIDE = "is a name inside a private network"
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def why_not_public(host: str) -> str | None:
    """Return what is wrong with a host in a few words, None for a public one.

    Names are not resolved: where one leads may change after this check.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _why_not_public_name(host)
    if not all(map(_is_public, addresses_in(address))):
        return "is a private, local or reserved address"
    return None


def _is_public(address) -> bool:
    # `is_global` alone takes site-local addresses and those that carry an IPv4 one for public.
    if address.version == 6 and address not in GIVEN_OUT and address not in NAT64:
        return False
    return address.is_global and not address.is_multicast


def _why_not_public_name(host: str) -> str | None:
    try:
        socket.inet_aton(host)  # 2130706433, 0x7f.1 and 0177.1 all mean 127.0.0.1 to a resolver
    except (OSError, UnicodeEncodeError):
        pass
    else:
        return "is an address in an unusual form"
    if not HOSTNAME.fullmatch(host):
        return "is not a host name (write other alphabets as xn--...)"
    if "." not in host or host.endswith(PRIVATE_SUFFIXES):
        return INSIDE
    return None


def why_no_proxy(host: str) -> str | None:
    """Return why no proxy can be at a host, None where one can: in a private network, say."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        reason = _why_not_public_name(host)
        return None if reason == INSIDE else reason
    if not all(map(_may_be_a_proxys, addresses_in(address))):
        return "is no address that a proxy can have"
    return None


def _may_be_a_proxys(address) -> bool:
    if address.is_loopback:
        return True
    return not (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
    )


def addresses_in(address):
    """Return the address and every IPv4 address that it carries inside."""
    found = [address]
    if address.version == 6:
        found += [hidden for hidden in (address.ipv4_mapped, address.sixtofour) if hidden]
        found += address.teredo or ()
        if address in NAT64:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found
