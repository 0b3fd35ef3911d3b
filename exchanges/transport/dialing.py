"""The only place that opens sockets to an exchange, for REST and for WebSockets alike."""

import contextlib
import logging
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from exchanges.transport.addresses import addresses_of, refuse_private
from exchanges.transport.certificates import tls_context
from exchanges.transport.happy_eyeballs import connect_to_first, distrust
from exchanges.transport.proxies import read_proxy, unused_variables
from exchanges.transport.tunnels import open_through

logger = logging.getLogger(__name__)

_told: set[tuple[str, int]] = set()  # of which hosts it was said that a proxy is unused


@dataclass(frozen=True, slots=True)
class Route:
    """The way to the `hosts` of a row: through its proxy, as the row has it, or without one."""

    proxy: str = ""
    hosts: tuple[str, ...] = ()

    def open(self, host: str, port: int, seconds: float, *, encrypted: bool) -> socket.socket:
        """Return a socket as `dial` does, encrypted if wished for, with the host's certificate.

        Within `seconds`, encryption included; they are its timeout from then on.

        Raises as `dial` does, ssl.SSLError among it.
        """
        context = tls_context() if encrypted else None
        ends_at = time.monotonic() + seconds
        sock = self.dial(host, port, seconds)
        if context is None:
            return sock
        try:
            sock.settimeout(max(0.01, ends_at - time.monotonic()))
            sock = context.wrap_socket(sock, server_hostname=host.rstrip("."))
            sock.settimeout(seconds)
            return sock
        except Exception:
            sock.close()
            distrust(host)
            raise

    def dial(self, host: str, port: int, seconds: float) -> socket.socket:
        """Return a socket to `host`, within `seconds`, which are its timeout from then on.

        Raises Misled where that is in a private network unasked; ProxyFailed; Misconfigured for a
        proxy or certificates that can't be used; OSError where nobody answers.
        """
        if self.proxy:
            refuse_private(host, port)
            sock = open_through(read_proxy(self.proxy), host, port, seconds)
        else:
            _say_what_is_unused(host, port)
            sock = self._connect(host, port, seconds)
        sock.settimeout(seconds)
        return sock

    def _connect(self, host: str, port: int, seconds: float) -> socket.socket:
        ends_at = time.monotonic() + seconds
        try:
            addresses = addresses_of(host, port, self.hosts, seconds)
        except (OSError, UnicodeError) as error:
            raise OSError(f"{host} has no address: {error}") from error
        return connect_to_first(host, port, addresses, ends_at - time.monotonic())


DIRECTLY = Route()


def hosts_in(*urls: str) -> tuple[str, ...]:
    """Return the hosts of those URLs that are any, each once."""
    found: dict[str, None] = {}
    for url in urls:
        with contextlib.suppress(ValueError):
            found[urlsplit(url).hostname or ""] = None
    return tuple(filter(None, found))


def _say_what_is_unused(host: str, port: int) -> None:
    """Warn, once, of a proxy that the environment names: whoever set it may rely on it."""
    if (host, port) not in _told and (names := unused_variables()):
        _told.add((host, port))
        logger.warning("dialing.proxy_unused host=%s variables=%s", host, ",".join(names))
