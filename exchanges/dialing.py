"""The only place that opens sockets to an exchange, for REST and for WebSockets alike."""

import socket

from exchanges.families import connect_to_first
from exchanges.validators import addresses_of


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
