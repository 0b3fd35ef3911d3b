"""Refuse addresses and variable names that a row must not hold.

An exchange row decides where the server connects to, and a user exchange which of the server's
secrets are used, so both are held to what a person at the machine has allowed in the environment.
No message repeats a URL's credentials or what stands where a variable's name should: it may be
a secret. Where a name leads may change after its row was saved, so it is looked at again at each
connect: `exchanges.transport.addresses`.
"""

import re
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError

from exchanges.transport.listed_hosts import entry_for, is_listed, ports_allowed
from exchanges.transport.public_addresses import why_no_proxy, why_not_public

PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}

PROXY_SCHEMES = ("http", "https", "socks5h")
NO_PROXY = (
    f"This is no proxy: write {'://host:port, '.join(PROXY_SCHEMES)}://host:port, or the name of "
    "an environment variable LIVERMORE_PROXY_… that holds one, where @ / ? # in a password are "
    "%40 %2F %3F %23."
)
PROXY_VARIABLE = re.compile(r"LIVERMORE_PROXY_[A-Z0-9_]{1,48}")
LONGEST_LOGIN = 255  # RFC 1929, 2: bytes of a user name, and of a password

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
    if not listed and (reason := why_no_proxy(parts.hostname)):
        raise ValidationError(f"The proxy's host {reason}.")
    return parts


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
    to_list = f"add {entry_for(host, port)} to LIVERMORE_PRIVATE_EXCHANGE_HOSTS if it is meant"
    if reason := why_not_public(host):
        raise ValidationError(
            f"{host} {reason}{ports_allowed(host)}. Use a public host name, or {to_list}."
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
