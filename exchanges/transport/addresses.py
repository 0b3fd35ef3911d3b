"""Where a host leads to now, looked at before each connect."""

import ipaddress
from collections.abc import Iterable

from django.conf import settings

from exchanges.errors import Misled
from exchanges.transport.dns import SECONDS, resolve
from exchanges.transport.listed_hosts import entry_for, is_listed, ports_allowed
from exchanges.transport.public_addresses import addresses_in, why_no_proxy, why_not_public

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# What local proxies give out in place of addresses: RFC 2544's, which Clash, Surge and sing-box use
# for IPv4, and of what nobody was given, as sing-box does for IPv6.
MADE_UP = (ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("fc00::/18"))


def proxy_addresses_of(host: str, port: int, seconds: float = SECONDS) -> list[str]:
    """Return the addresses that a proxy's host leads to now, in private networks too.

    Raises Misled where one of them can't be a proxy's, such as those by which clouds tell secrets,
    and nobody listed the host; else as the resolver does.
    """
    addresses = resolve(host, port, seconds)
    if not is_listed(host, port):
        for address in addresses:
            if reason := why_no_proxy(address):
                raise _misled(host, port, f"{address} {reason}")
    return addresses


def refuse_private(host: str, port: int) -> None:
    """Raise Misled for a host that is private by its own words, unless somebody listed it.

    It is what is left to check where a proxy finds the address.
    """
    if not is_listed(host, port) and (reason := why_not_public(host.rstrip("."))):
        raise _misled(host, port, f"it {reason}")


def addresses_of(
    host: str, port: int, hosts: Iterable[str] = (), seconds: float = SECONDS
) -> list[str]:
    """Return the addresses that a host leads to now, to connect to them and to no others.

    Raises Misled where one of them is not public and nobody listed the host; OSError or
    UnicodeError, as the resolver does, where it leads nowhere, TimeoutError where that takes more
    than so many seconds. `hosts` are all those of its row:
    where a local proxy makes up addresses it does so for all of them, so they are named together.
    """
    addresses = resolve(host, port, seconds)
    if not is_listed(host, port):
        if addresses != [host] and (network := _made_up_in(addresses)):
            raise misled_by_proxy(hosts or [host], network)
        for address in addresses:
            if reason := why_not_public(address):
                what = "it" if address == host else address
                raise _misled(host, port, f"{what} {reason}")
    return addresses


def _misled(host: str, port: int, found: str) -> Misled:
    return Misled(
        f"{host} is not called: {found}{ports_allowed(host)}",
        "Correct the row's address, this machine's name server or /etc/hosts, or add "
        f"{entry_for(host, port)} to LIVERMORE_PRIVATE_EXCHANGE_HOSTS if it is meant",
    )


def misled_by_proxy(hosts: Iterable[str], network: IPNetwork) -> Misled:
    """Return what is said where a local proxy makes up the addresses of a row's hosts."""
    listed = settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS
    named = [host for host in hosts if _is_name(host) and not is_listed(host, None)]
    verb, they = ("are", "they lead") if len(named) > 1 else ("is", "it leads")
    return Misled(
        f"{' and '.join(named)} {verb} not called: {they} into {network}, where a local proxy such "
        "as Clash or Surge leads all names (fake IP)",
        f"Set LIVERMORE_PRIVATE_EXCHANGE_HOSTS={','.join([*listed, *named])} if that is meant, or "
        "name that proxy in the row",
    )


def _made_up_in(addresses: Iterable[str]) -> IPNetwork | None:
    """Return the network of fake addresses that one of these is in."""
    inside = [each for one in addresses for each in addresses_in(ipaddress.ip_address(one))]
    return next((each for each in MADE_UP if any(one in each for one in inside)), None)


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
