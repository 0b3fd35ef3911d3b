"""What can be made to go wrong, and to which requests."""

from collections.abc import Container
from dataclasses import dataclass, field

ARCHIVE = "archive"
KINDS = (
    "status", "html200", "truncated", "reset", "slow", "holes", "bad_rows", "empty", "late", "time",
    "listing", "limits", "refused_key", "skew_ms", ARCHIVE,
)  # fmt: skip
OF_FEW = ("time", "limits", "refused_key", ARCHIVE)  # happen to those endpoints that say so


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
