"""The faults in force, and which of them a request meets."""

from collections.abc import Container, Iterable, Mapping
from random import Random
from threading import Lock

from exchanges.sandbox.faults.archives import WAYS as ARCHIVE_WAYS
from exchanges.sandbox.faults.fault import ARCHIVE, Fault
from exchanges.sandbox.faults.listings import BAD_LISTINGS
from exchanges.sandbox.faults.rows import BAD_ROWS
from exchanges.sandbox.market.clock import SandboxClock

LATE = ("missing", "stale")
_WAYS: dict[str, Iterable[str]] = {
    "bad_rows": BAD_ROWS, "late": LATE, "listing": BAD_LISTINGS, ARCHIVE: ARCHIVE_WAYS,
}  # fmt: skip
_BY_CHANCE = ("empty", "refused_key")  # their `chance` is a share of the calls


class Faults:
    """The faults in force; set from any thread, taken by the server's.

    `odd_limits` are the ways in which limits can be told, with the endpoint that tells them.
    """

    def __init__(self, clock: SandboxClock, odd_limits: Mapping[str, str]):
        self._clock = clock
        self._odd_limits = odd_limits
        self._ways = _WAYS | {"limits": odd_limits}
        self._lock = Lock()
        self._faults: list[Fault] = []
        self._random = Random(1)

    def add(self, kind: str, **settings) -> Fault:
        """Put one more fault in force and return it; its `hits` count the requests it met."""
        fault = self._made({"kind": kind} | settings)
        with self._lock:
            self._faults.append(fault)
        if kind == "skew_ms":
            self._clock.skew_ms = fault.ms
        return fault

    def replace(self, faults: Iterable[dict]) -> None:
        """Put exactly these in force. Raises ValueError or TypeError, changing nothing."""
        wanted = [dict(fault) for fault in faults]
        for settings in wanted:
            self._made(settings)
        self.clear()
        for settings in wanted:
            self.add(**settings)

    def _made(self, settings: dict) -> Fault:
        """Make a fault in a known way, the first one being usual. Raises ValueError."""
        fault = Fault(**settings)
        if fault.kind in self._ways:
            ways = tuple(self._ways[fault.kind])
            fault.way = fault.way or next(iter(ways), "")
            if fault.way not in ways:
                raise ValueError(f"unknown way {fault.way!r}; known are {' '.join(ways)}")
        if fault.kind == "limits":
            fault.endpoint = self._odd_limits[fault.way]
        return fault

    def remove(self, fault: Fault) -> None:
        """Take one out of force; harmless where it is gone already."""
        with self._lock:
            self._faults = [one for one in self._faults if one is not fault]

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
        self._clock.skew_ms = 0

    def take(
        self,
        protocol: str,
        endpoint: str,
        symbol: str | None,
        timeframe: str | None,
        own_faults: Container[str] = (),
    ) -> list[Fault]:
        """Return the faults that a request meets, each counted as one of its `times`.

        `own_faults` are the kinds of OF_FEW that happen to its endpoint.
        """
        if not self._faults:
            return []
        found = (protocol, endpoint, symbol, timeframe, own_faults)
        with self._lock:
            met = [fault for fault in self._faults if fault.fits(*found) and self._happens(fault)]
            for fault in met:
                fault.hits += 1
        return met

    def _happens(self, fault: Fault) -> bool:
        by_chance = fault.kind in _BY_CHANCE and fault.chance
        return not by_chance or self._random.random() < fault.chance

    @property
    def active(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)
