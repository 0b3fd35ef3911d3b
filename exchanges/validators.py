"""Refuse addresses and variable names that a row must not hold.

An exchange row decides where the server connects to, and a user exchange which of the server's
secrets are used, so both are held to what a person at the machine has allowed in the environment.
No message repeats a URL's credentials or what stands where a variable's name should: it may be
a secret. Where a name leads may change after its row was saved, so it is looked at again at each
connect: `addresses_of`.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from exchanges.errors import Misled
from exchanges.transport.dns import SECONDS, resolve

PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

HOSTNAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?")
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
GIVEN_OUT = ipaddress.ip_network("2000::/3")  # RFC 4291: of IPv6, nothing else is public
INSIDE = "is a name inside a private network"
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# What local proxies give out in place of addresses: RFC 2544's, which Clash, Surge and sing-box use
# for IPv4, and of what nobody was given, as sing-box does for IPv6.
MADE_UP = (ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("fc00::/18"))

PROXY_SCHEMES = ("http", "https", "socks5h")
NO_PROXY = (
    f"This is no proxy: write {'://host:port, '.join(PROXY_SCHEMES)}://host:port, or the name of "
    "an environment variable LIVERMORE_PROXY_… that holds one, where @ / ? # in a password are "
    "%40 %2F %3F %23."
)
PROXY_VARIABLE = re.compile(r"LIVERMORE_PROXY_[A-Z0-9_]{1,48}")
LONGEST_LOGIN = 255  # RFC 1929, 2: bytes of a user name, and of a password

LISTED_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})")
ENV_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
LONGEST_ENV_NAME = 64


def validate_rest_url(url: str) -> None:
    """Refuse a REST base that is not https, or leads into a private network unasked."""
    _validate_url(url, secure="https", plain="http")


def validate_ws_url(url: str) -> None:
    """Refuse a WebSocket base that is not wss, or leads into a private network unasked."""
    _validate_url(url, secure="wss", plain="ws")


def validate_env_shape(name: str) -> None:
    """Refuse what is not the name of an environment variable, without repeating it."""
    if not is_env_name(name):
        raise ValidationError(
            "This is not the name of an environment variable, and was not stored in case it is "
            "the key itself. Set the key in the server's environment and write the variable's "
            f"name here: capital letters, digits and _, at most {LONGEST_ENV_NAME}."
        )


def is_env_name(text: str) -> bool:
    """Tell whether a text has the form of a variable's name."""
    return len(text) <= LONGEST_ENV_NAME and ENV_NAME.fullmatch(text) is not None


def validate_proxy(text: str) -> None:
    """Refuse what is neither a proxy's address without a password nor the name of a variable."""
    if PROXY_VARIABLE.fullmatch(text):
        return
    if "@" in text:
        raise ValidationError(
            "The proxy must not hold a user name or password, and was not stored. Put its whole "
            "address into an environment variable LIVERMORE_PROXY_…, and write that variable's "
            "name here."
        )
    split_proxy(text)


def split_proxy(url: str) -> SplitResult:
    """Return the parts of a proxy's address: always a port, and perhaps user name and password.

    Raises ValidationError, whose message repeats nothing of it.
    """
    try:
        parts = _split(url, "http")
    except ValidationError as error:
        raise ValidationError(NO_PROXY) from error
    if parts.scheme == "socks5":
        raise ValidationError("Write socks5h:// for socks5://: the proxy finds names itself.")
    ends_early = parts.path.strip("/") or "?" in url or "#" in url
    if parts.scheme not in PROXY_SCHEMES or not parts.hostname or not parts.port or ends_early:
        raise ValidationError(NO_PROXY)
    if any(len(each.encode()) > LONGEST_LOGIN for each in (parts.username, parts.password) if each):
        raise ValidationError("The user name or password is too long for a proxy.")
    listed = is_listed(parts.hostname, parts.port)
    if not listed and (reason := _why_no_proxy(parts.hostname)):
        raise ValidationError(f"The proxy's host {reason}.")
    return parts


def proxy_addresses_of(host: str, port: int, seconds: float = SECONDS) -> list[str]:
    """Return the addresses that a proxy's host leads to now, in private networks too.

    Raises Misled where one of them can't be a proxy's, such as those by which clouds tell secrets,
    and nobody listed the host; else as the resolver does.
    """
    addresses = resolve(host, port, seconds)
    if not is_listed(host, port):
        for address in addresses:
            if reason := _why_no_proxy(address):
                raise _misled(host, port, f"{address} {reason}")
    return addresses


def refuse_private(host: str, port: int) -> None:
    """Raise Misled for a host that is private by its own words, unless somebody listed it.

    It is what is left to check where a proxy finds the address.
    """
    if not is_listed(host, port) and (reason := _why_not_public(host.rstrip("."))):
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
            if reason := _why_not_public(address):
                what = "it" if address == host else address
                raise _misled(host, port, f"{what} {reason}")
    return addresses


def _misled(host: str, port: int, found: str) -> Misled:
    return Misled(
        f"{host} is not called: {found}{_elsewhere(host)}",
        "Correct the row's address, this machine's name server or /etc/hosts, or add "
        f"{_to_list(host, port)} to LIVERMORE_PRIVATE_EXCHANGE_HOSTS if it is meant",
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
    inside = [each for one in addresses for each in _addresses_in(ipaddress.ip_address(one))]
    return next((each for each in MADE_UP if any(one in each for one in inside)), None)


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _validate_url(url: str, secure: str, plain: str) -> None:
    parts = _split(url, secure)
    if parts.scheme not in (secure, plain):
        raise ValidationError(f"The address must begin with {secure}://.")
    if "@" in parts.netloc:
        raise ValidationError(
            "The address must not hold a user name or password. Keys belong in the environment."
        )
    if "?" in url or "#" in url:
        raise ValidationError("The address must end before any ? or #: give the base alone.")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise ValidationError(f"The address names no host: write {secure}://host.")
    port = parts.port or PORTS[parts.scheme]
    if is_listed(host, port):
        return
    to_list = f"add {_to_list(host, port)} to LIVERMORE_PRIVATE_EXCHANGE_HOSTS if it is meant"
    if reason := _why_not_public(host):
        raise ValidationError(
            f"{host} {reason}{_elsewhere(host)}. Use a public host name, or {to_list}."
        )
    if parts.scheme == plain:
        raise ValidationError(f"{plain}:// is not encrypted: use {secure}://, or {to_list}.")


def _split(url: str, secure: str) -> SplitResult:
    # urlsplit drops tabs and newlines and reads a backslash otherwise than HTTP clients do.
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise ValidationError("The address must not hold spaces, control characters or \\.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValidationError(
            f"This is not an address: write {secure}://host or {secure}://host:port."
        )
    return parts


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


def _elsewhere(host: str) -> str:
    """Return at which ports alone a host may be called, "" where it is not listed at all."""
    ports = [str(port) for name, port in _listed() if name == _plain(host)]
    return f", allowed at port {' and '.join(ports)} alone" if ports else ""


def _to_list(host: str, port: int) -> str:
    """Return the entry that would let a host be called, no more of it than is needed."""
    if not _elsewhere(host):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


def _why_not_public(host: str) -> str | None:
    """Return what is wrong with a host in a few words, None for a public one.

    Names are not resolved: where one leads may change after this check.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _why_not_public_name(host)
    if not all(map(_is_public, _addresses_in(address))):
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


def _why_no_proxy(host: str) -> str | None:
    """Return why no proxy can be at a host, None where one can: in a private network, say."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        reason = _why_not_public_name(host)
        return None if reason == INSIDE else reason
    if not all(map(_may_be_a_proxys, _addresses_in(address))):
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


def _addresses_in(address):
    """Return the address and every IPv4 address that it carries inside."""
    found = [address]
    if address.version == 6:
        found += [hidden for hidden in (address.ipv4_mapped, address.sixtofour) if hidden]
        found += address.teredo or ()
        if address in NAT64:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found
