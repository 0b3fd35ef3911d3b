"""The first of a host's addresses that answers, those of IPv6 and IPv4 tried in turns.

Where one family leads nowhere, as IPv6 often does behind a router that knows nothing of it, every
address of it would cost the whole time to connect. So the next address is tried soon, without
giving up the one before: RFC 8305, "Happy Eyeballs". What was learned of a host is remembered as
long as this process lives.
"""

import os
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

STAGGER_SECONDS = 0.25  # RFC 8305, 5: the recommended Connection Attempt Delay


class HostHistory(NamedTuple):
    """What was learned of a host: the family to begin with, who won, and whom that overtook."""

    family: str
    winner: str
    overtaken: frozenset[str]


_pasts: dict[str, HostHistory] = {}
_remembering = threading.Lock()


def family_of(address: str) -> str:
    """Return "IPv6" or "IPv4"."""
    return "IPv6" if ":" in address else "IPv4"


def connect_to_first(
    host: str, port: int, addresses: Sequence[str], seconds: float
) -> socket.socket:
    """Return a socket to whichever of the host's addresses answers first.

    Raises OSError where none does: TimeoutError where at least one was still silent in the end.
    """
    race = Race(port, _in_turns(host, addresses))
    with race:
        winner, sock = race.run(seconds)
    with _remembering:
        _pasts[host] = HostHistory(family_of(winner), winner, frozenset(race.before(winner)))
    return sock


def distrust(host: str) -> None:
    """Let another address of a host come first: the winner was connected to, and then of no use."""
    with _remembering:
        if past := _pasts.get(host):
            other = "IPv4" if past.family == "IPv6" else "IPv6"
            _pasts[host] = HostHistory(other, past.winner, past.overtaken | {past.winner})


def silent_families(port: int, addresses: Iterable[str], seconds: float) -> dict[str, str]:
    """Return the families of which no address answers within so long, and why; one by one.

    What is remembered of the host stays as it is.
    """
    found = {}
    for family in ("IPv6", "IPv4"):
        its = [address for address in addresses if family_of(address) == family]
        try:
            with Race(port, its) as race:
                race.run(seconds)[1].close()
        except OSError as error:
            found[family] = error.strerror or str(error)
    return found


class Race:
    """Attempts at addresses, one begun after the other; who leaves it closes all but the winner."""

    def __init__(self, port: int, addresses: Iterable[str]):
        self._port = port
        self._waiting = list(addresses)
        self._begun: list[str] = []
        self._failures: dict[str, OSError] = {}
        self._under_way = selectors.DefaultSelector()

    def __enter__(self) -> "Race":
        return self

    def __exit__(self, *error: object) -> None:
        for key in list(self._under_way.get_map().values()):
            key.data[1].close()
        self._under_way.close()

    def before(self, winner: str) -> list[str]:
        """Return the addresses that were tried before the one that won."""
        return self._begun[: self._begun.index(winner)]

    def run(self, seconds: float) -> tuple[str, socket.socket]:
        """Return the address that answered first, and the socket to it, which blocks."""
        now = next_at = time.monotonic()
        deadline, failed = now + seconds, 0
        while now < deadline and (self._waiting or self._under_way.get_map()):
            if self._waiting and (now >= next_at or len(self._failures) > failed):
                next_at, failed = now + STAGGER_SECONDS, len(self._failures)
                self._begin(self._waiting.pop(0))
            else:
                wake_at = min(deadline, next_at) if self._waiting else deadline
                if found := self._look(wake_at - now):
                    return found
            now = time.monotonic()
        raise self._failure()

    def _begin(self, address: str) -> None:
        self._begun.append(address)
        try:
            sock = _connecting(address, self._port)
        except OSError as error:
            self._failures[address] = error
        else:
            self._under_way.register(sock, selectors.EVENT_WRITE, (address, sock))

    def _look(self, seconds: float) -> tuple[str, socket.socket] | None:
        """Return who has answered within so long; take out whoever failed."""
        for key, _ in self._under_way.select(seconds):
            address, sock = key.data
            self._under_way.unregister(sock)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error:
                sock.setblocking(True)
                return address, sock
            sock.close()
            self._failures[address] = OSError(error, os.strerror(error))
        return None

    def _failure(self) -> OSError:
        silent = [address for address in self._begun if address not in self._failures]
        if not self._failures:
            return TimeoutError("timed out" if silent else "no address")
        if len(self._begun) == 1:
            return self._failures[self._begun[0]]
        told = [f"{address}: {error.strerror}" for address, error in self._failures.items()]
        told += [f"{address}: timed out" for address in silent]
        return (TimeoutError if silent else OSError)("; ".join(told))


def _connecting(address: str, port: int) -> socket.socket:
    """Return a socket that is on its way; OSError where that is over at once."""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(kind, socket.SOCK_STREAM)  # fails on a machine without IPv6
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sock.connect((address, port))
    except BlockingIOError:
        return sock
    except OSError:
        sock.close()
        raise
    return sock


def _in_turns(host: str, addresses: Sequence[str]) -> list[str]:
    """Return the addresses in the order in which to try them."""
    with _remembering:
        past = _pasts.get(host)
    family = past.family if past else family_of(addresses[0])
    overtaken = past.overtaken if past else frozenset()
    fresh = [address for address in addresses if address not in overtaken]
    others = [address for address in addresses if address in overtaken]
    return _alternate(fresh, family) + _alternate(others, family)


def _alternate(addresses: Iterable[str], first: str) -> list[str]:
    ours: list[str] = []
    theirs: list[str] = []
    for address in addresses:
        (ours if family_of(address) == first else theirs).append(address)
    pairs = zip_longest(ours, theirs)
    return [address for pair in pairs for address in pair if address is not None]
