"""What can be made to go wrong, and to which requests."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from threading import Lock

from exchanges.sandbox.faults.archives import KIND as ARCHIVE
from exchanges.sandbox.faults.archives import WAYS as ARCHIVE_WAYS
from exchanges.sandbox.faults.listings import BAD_LISTINGS
from exchanges.sandbox.faults.rows import BAD_ROWS
from exchanges.sandbox.market.clock import SandboxClock

KINDS = (
    "status", "html200", "truncated", "reset", "slow", "holes", "bad_rows", "empty", "late", "time",
    "listing", "limits", "refused_key", "skew_ms", ARCHIVE,
)  # fmt: skip
LATE = ("missing", "stale")
_WAYS: dict[str, Iterable[str]] = {
    "bad_rows": BAD_ROWS, "late": LATE, "listing": BAD_LISTINGS, ARCHIVE: ARCHIVE_WAYS,
}  # fmt: skip
OF_FEW = ("time", "limits", "refused_key", ARCHIVE)  # happen to those endpoints that say so
_BY_CHANCE = ("empty", "refused_key")  # their `chance` is a share of the calls


@dataclass
class Fault:
    """One thing that goes wrong with each request that fits.

    It fits where `protocol`, `endpoint`, `symbol` (canonical) and `timeframe` are None or the
    request's own, and stops after `times` of them (None: never). By kind:
    `status` answers with that `status`, with `retry_after` where given, or with a page of `text`;
    `html200` with a page;
    `truncated` cuts the body: `cut` "length" promises more bytes than it sends, "json" doesn't;
    `reset` resets the TCP connection in mid-body; `slow` waits `seconds`; `holes` leaves out the
    candles of `open_times`, or that `chance` share of all, the same
    ones each time; `bad_rows` spoils candle number `row` (the middle one if None) in
    the `way` that rows.py lists, or the one that opens at `open_time` wherever it stands;
    `empty` answers a `chance` share of candle requests without a row
    (all of them if 0); `late` answers candle requests without the bars that ended less than
    `seconds` ago by the exchange's clock, in the `way` "missing", or as they stood then: "stale";
    `time` tells a time that is off by `ms`; `listing` spoils what is listed in a `way` of
    listings.py, a `chance` share of the rows or that of the symbol `listed`;
    `limits` tells limits in one of a protocol's odd `way`s; `refused_key` refuses a `chance`
    share of signed calls (all of them if 0) with 401, whatever the token; `skew_ms` puts the whole
    exchange's clock off by `ms`; `archive` spoils bulk files in a `way` of archives.py, those alone
    that hold one of `open_times` where any is given, and a `chance` share of their rows.

    Raises ValueError for a kind that isn't known.
    """

    kind: str
    times: int | None = None
    protocol: str | None = None
    endpoint: str | None = None
    symbol: str | None = None
    timeframe: str | None = None
    status: int = 500
    text: str | None = None
    retry_after: int | None = None
    seconds: float = 0
    cut: str = "length"
    way: str = ""
    row: int | None = None
    open_time: int | None = None
    listed: str | None = None
    open_times: list[int] = field(default_factory=list)
    chance: float = 0
    ms: int = 0
    hits: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known are {' '.join(KINDS)}")

    def fits(
        self,
        protocol: str,
        endpoint: str,
        symbol: str | None,
        timeframe: str | None,
        own_faults: Container[str],
    ) -> bool:
        wanted = (self.protocol, self.endpoint, self.symbol, self.timeframe)
        found = (protocol, endpoint, symbol, timeframe)
        exhausted = self.times is not None and self.hits >= self.times
        concerned = self.kind not in OF_FEW or self.kind in own_faults
        if ARCHIVE in own_faults:  # on another host
            concerned = self.kind == ARCHIVE or self.endpoint is not None
        return (
            not exhausted
            and concerned
            and all(want in (None, got) for want, got in zip(wanted, found, strict=True))
        )


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
