"""The only place that opens sockets to an exchange, for REST and for WebSockets alike."""

import socket

from exchanges.families import connect_to_first
from exchanges.trust import tls_context
from exchanges.validators import addresses_of


def open_socket(host: str, port: int, seconds: float, *, encrypted: bool) -> socket.socket:
    """Return a socket as `dial` does, encrypted if wished for and then with the host's certificate.

    `seconds` are also its timeout. Raises Misconfigured where nobody's certificates can be
    believed; else as `dial` does, ssl.SSLError among it.
    """
    context = tls_context() if encrypted else None
    wire = dial(host, port, seconds)
    if context is None:
        return wire
    try:
        return context.wrap_socket(wire, server_hostname=host.rstrip("."))
    except Exception:
        wire.close()
        raise


def dial(host: str, port: int, seconds: float) -> socket.socket:
    """Return a socket to an address of `host` that was checked, within `seconds`.

    Raises Misled where it leads into a private network unasked; OSError where nobody answers.
    """
    try:
        addresses = addresses_of(host, port)
    except (OSError, UnicodeError) as error:
        raise OSError(f"{host} has no address: {error}") from error
    wire = connect_to_first(host, port, addresses, seconds)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.settimeout(seconds)
    return wire
