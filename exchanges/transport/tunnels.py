"""Through a proxy to an exchange: a plain tunnel, whatever goes through it.

By CONNECT (RFC 9110, 9.3.6), to the proxy in the clear or encrypted, or by SOCKS5 (RFC 1928, 1929).
The proxy finds the exchange's address itself.
"""

import contextlib
import re
import selectors
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from django.views.decorators.debug import sensitive_variables

from exchanges.errors import ProxyFailed, clip
from exchanges.transport.addresses import proxy_addresses_of
from exchanges.transport.certificates import tls_context
from exchanges.transport.happy_eyeballs import connect_to_first
from exchanges.transport.proxies import Proxy, place

LONGEST_LINE, MOST_LINES = 8192, 100
RELAY_BYTES = 65_536
RELAY_SECONDS = 60.0  # for the proxy to take what is sent
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")
WANTS_LOGIN = 407
SOCKS, ITS_LOGIN, NO_LOGIN, BY_PASSWORD = 5, 1, 0, 2  # RFC 1928, 3; RFC 1929, 2
IPV4, NAME, IPV6 = 1, 3, 4  # RFC 1928, 5
SOCKS_REFUSALS = {  # RFC 1928, 6
    1: "it failed",
    2: "its rules forbid it",
    3: "the network can't be reached",
    4: "the host can't be reached",
    5: "the connection was refused",
    6: "it took too many hops",
    7: "it knows no CONNECT",
    8: "it knows no such addresses",
}


class NoTunnel(Exception):
    """A proxy did not lead to where it should: what it did, and what to do about it."""

    def __init__(self, what: str, remedy: str):
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def open_through(proxy: Proxy, host: str, port: int, seconds: float) -> socket.socket:
    """Return a plain socket to `host` through a proxy, within `seconds`.

    Raises ProxyFailed; Misled for a proxy's name that leads where no proxy can be; Misconfigured
    where nobody's certificates can be believed.
    """
    ends_at = time.monotonic() + seconds
    with _failures_named(proxy, host):
        sock = _reach(proxy, ends_at)
        try:
            if proxy.scheme == "https":
                sock = _encrypt(sock, proxy, ends_at)
            HANDSHAKES[proxy.scheme](TimedSocket(sock, ends_at), proxy, host, port)
        except BaseException:
            sock.close()
            raise
    return plain_end_of(sock) if proxy.scheme == "https" else sock


@contextlib.contextmanager
def _failures_named(proxy: Proxy, host: str) -> Iterator[None]:
    cause: OSError | NoTunnel
    try:
        yield
    except NoTunnel as error:
        what, remedy, cause = error.what, error.remedy, error
    except TimeoutError as error:
        what, remedy, cause = "gave no answer in time", "See whether it works", error
    except OSError as error:
        what, remedy, cause = f"broke off ({clip(str(error))})", "See whether it works", error
    else:
        return
    raise ProxyFailed(host, f"the proxy {proxy} {what}", remedy) from cause


def _reach(proxy: Proxy, ends_at: float) -> socket.socket:
    try:
        addresses = proxy_addresses_of(proxy.host, proxy.port, ends_at - time.monotonic())
        return connect_to_first(proxy.host, proxy.port, addresses, ends_at - time.monotonic())
    except (OSError, UnicodeError) as error:
        remedy = "Start it, or correct the row's proxy"
        raise NoTunnel(f"does not answer ({clip(str(error))})", remedy) from error


def _encrypt(sock: socket.socket, proxy: Proxy, ends_at: float) -> ssl.SSLSocket:
    sock.settimeout(max(0.01, ends_at - time.monotonic()))
    try:
        return tls_context().wrap_socket(sock, server_hostname=proxy.host)
    except ssl.SSLError as error:
        raise NoTunnel(
            f"can't be shaken hands with ({clip(str(error))})",
            "Write http:// where it takes what isn't encrypted; a CA that nobody knows goes into "
            "LIVERMORE_CA_FILE",
        ) from error


class TimedSocket:
    """What is said with a proxy, until `ends_at` (monotonic) and no longer."""

    def __init__(self, sock: socket.socket, ends_at: float):
        self._sock = sock
        self._ends_at = ends_at

    def send(self, octets: bytes) -> None:
        self._hurry()
        self._sock.sendall(octets)

    def take(self, count: int) -> bytes:
        """Return the next so many bytes, and ask for none beyond them: they are the exchange's."""
        found = b""
        while len(found) < count:
            self._hurry()
            part = self._sock.recv(count - len(found))
            if not part:
                raise NoTunnel("closed the connection", "See whether it is of the kind named")
            found += part
        return found

    def line(self) -> bytes:
        """Return the next line, without its end."""
        found = b""
        while not found.endswith(b"\n") and len(found) < LONGEST_LINE:
            found += self.take(1)
        return found.rstrip()

    def _hurry(self) -> None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


@sensitive_variables()
def _connect(timed: TimedSocket, proxy: Proxy, host: str, port: int) -> None:
    target = place(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: livermore"]
    if proxy.username is not None:
        login = b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {login}")
    timed.send("\r\n".join([*lines, "", ""]).encode())
    answer = STATUS_LINE.match(timed.line())
    if not answer:
        raise NoTunnel("speaks no HTTP", "Correct the row's proxy: is it a socks5h:// one?")
    status = int(answer[1])
    if status == WANTS_LOGIN:
        raise _wants_login(proxy)
    if not 200 <= status < 300:
        raise _no_way(target, f"HTTP {status}")
    if all(timed.line() for _ in range(MOST_LINES)):
        raise NoTunnel("answers without an end", "See whether it works")


@sensitive_variables()
def _socks(timed: TimedSocket, proxy: Proxy, host: str, port: int) -> None:
    methods = [NO_LOGIN] if proxy.username is None else [NO_LOGIN, BY_PASSWORD]
    timed.send(bytes([SOCKS, len(methods), *methods]))
    version, method = timed.take(2)
    if version != SOCKS:
        raise NoTunnel("speaks no SOCKS5", "Correct the row's proxy: is it an http:// one?")
    if method not in methods:
        raise _wants_login(proxy)
    if method == BY_PASSWORD:
        login = [(proxy.username or "").encode(), proxy.password.encode()]
        timed.send(bytes([ITS_LOGIN]) + b"".join(bytes([len(each)]) + each for each in login))
        if timed.take(2)[1]:
            raise _wants_login(proxy)
    timed.send(bytes([SOCKS, 1, 0]) + _socks_address(host) + port.to_bytes(2))
    _, refusal, _, kind = timed.take(4)
    if refusal:
        raise _no_way(place(host, port), SOCKS_REFUSALS.get(refusal, f"SOCKS error {refusal}"))
    timed.take({IPV4: 4, IPV6: 16}.get(kind) or timed.take(1)[0])  # its own address, and its port
    timed.take(2)


def _socks_address(host: str) -> bytes:
    try:
        packed = ip_address(host).packed
    except ValueError:
        name = host.encode()
        return bytes([NAME, len(name)]) + name
    return bytes([IPV4 if len(packed) == 4 else IPV6]) + packed


HANDSHAKES: dict[str, Callable[[TimedSocket, Proxy, str, int], None]] = {
    "http": _connect,
    "https": _connect,
    "socks5h": _socks,
}


def _wants_login(proxy: Proxy) -> NoTunnel:
    if proxy.username is not None:
        return NoTunnel("refuses the user name and password", "Correct them in the variable")
    return NoTunnel(
        "wants a user name and password",
        "Put its whole address, scheme://user:password@host:port, into an environment variable "
        "LIVERMORE_PROXY_…, and that variable's name into the row",
    )


def _no_way(target: str, reason: str) -> NoTunnel:
    return NoTunnel(
        f"does not lead to {target} ({reason})",
        "See what it allows: many let through port 443 alone",
    )


def plain_end_of(outer: socket.socket) -> socket.socket:
    """Return a plain socket that sends and receives what goes through an encrypted one.

    What goes through it may be encrypted once more, for which Python wants a socket of the system.
    """
    ours, theirs = socket.socketpair()
    threading.Thread(target=_relay, args=(outer, theirs), name="relay", daemon=True).start()
    return ours


def _relay(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    with contextlib.suppress(OSError), outer, inner, selectors.DefaultSelector() as waiting:
        waiting.register(outer, selectors.EVENT_READ, _receive)
        waiting.register(inner, selectors.EVENT_READ, _send)
        while all(key.data(outer, inner) for key, _ in waiting.select()):
            pass


def _receive(outer: ssl.SSLSocket, inner: socket.socket) -> bool:
    """Hand on what came from outside; return whether there may be more."""
    outer.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):  # a piece of a record, or none of ours
        while True:
            octets = outer.recv(RELAY_BYTES)
            inner.sendall(octets)
            if not octets or not outer.pending():
                return bool(octets)
    return True


def _send(outer: ssl.SSLSocket, inner: socket.socket) -> bool:
    octets = inner.recv(RELAY_BYTES)
    outer.settimeout(RELAY_SECONDS)
    outer.sendall(octets)
    return bool(octets)
