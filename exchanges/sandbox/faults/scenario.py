"""One scenario: what goes wrong on the WebSockets or, over time, in REST."""

import time
from dataclasses import dataclass, field, fields
from random import Random

from exchanges.sandbox.faults.archives import WAYS as ARCHIVE_WAYS
from exchanges.sandbox.faults.faults import LATE
from exchanges.sandbox.market.listings import HALT

# Something happens to the server or to a connection; `times` counts how often it begins.
TIMED = (
    "drop", "refuse", "silence", "pong_only", "answers_only", "early_cut",
    "rest_429", "rest_418", "rest_401", "rest_403", "rest_451", "rest_holes", "rest_empty",
    "rest_late", "rest_time", "slow", "archive", "skew", "proxy_refuse", "proxy_silence",
    "halted", "delisted", "renamed", "listing_halted", "listing_short", "listing_bad_row",
)  # fmt: skip
# Something happens to a frame; `times` counts frames.
FRAMES = (
    "silent_symbol", "malformed", "loss", "duplicates", "reordering", "late_close", "missing_close",
    "early_close", "versions", "frame_time", "no_untraded_close", "no_tickers",
)  # fmt: skip
KINDS = (*TIMED, *FRAMES, "ack_without_data", "refuse_subscription")
WAYS = ("truncated", "types", "missing", "list", "text", "utf8")  # to break a frame
_WAYS = {  # of other kinds; the first one is usual
    "archive": ARCHIVE_WAYS,
    "rest_late": LATE,
    "early_close": ("now", "later"),
    "refuse_subscription": ("error", "silent", "left_out"),
}
OF_A_SYMBOL = ("silent_symbol", "halted", "delisted", "renamed", "listing_bad_row")
_CHANCES = {
    "malformed": 0.02, "loss": 0.02, "duplicates": 0.1, "reordering": 0.1, "early_close": 0.1,
    "frame_time": 0.02, "rest_holes": 0.05, "rest_empty": 0.2, "listing_short": 0.9, "archive": 0,
}  # fmt: skip
_NUMBERS = ("every", "seconds", "times", "chance", "delay", "status", "retry_after")
_DELAYS = {"late_close": 10.0, "slow": 2.0, "early_cut": 10.0, "rest_late": 30.0}
_OFF_MS = {"frame_time": 300_000, "rest_time": 300_000, "skew": 5000}


@dataclass
class Scenario:
    """One thing that goes wrong, again and again or once.

    When: it begins at once, or with `every` after that many seconds and then every so many; each
    time it lasts `seconds` (None: a third of `every`, or without that until it is taken away);
    `times` ends it. A kind that happens to frames happens to one frame each time if `every` comes
    without `seconds`. Seconds are this machine's, never the exchange's accelerated ones.

    What, by kind:
    `drop` cuts every socket, without a word; `early_cut` announces it where exchanges do
    and closes after `delay` seconds; `refuse` answers new connections with HTTP `status`;
    `silence` keeps the sockets and sends nothing but pings; `pong_only` also answers the client's;
    `answers_only` also what the client asks, and sends heartbeats;
    `ack_without_data` acknowledges a subscription and never serves it on that connection;
    `refuse_subscription` refuses a message that subscribes `symbol` (None: any that is not known or
    does not trade) in one `way`: "error" answers with one and does nothing of the message, "silent"
    does nothing of it without a word, "left_out" does all but that name;
    `silent_symbol` sends nothing for `symbol` (the first one listed if None);
    `malformed` breaks a frame in one `way` (None: any), `loss` leaves it out, `duplicates` sends
    it twice, `reordering` sends it after the next one of its stream; `missing_close` leaves out
    closing frames, `late_close` sends them `delay` seconds of the exchange's time late,
    `no_untraded_close` leaves out those of bars without a trade; `no_tickers` all tickers;
    `rest_429` and `rest_418` answer every REST call so, with `retry_after`, `rest_403` with the
    page of a firewall, `rest_451` as an exchange does that doesn't serve a country; `rest_401`
    refuses a `chance` share of signed calls; `rest_holes` leaves
    the same random candles out of every reply; `rest_empty` answers a `chance` share of the candle
    calls without any; `rest_late` answers without the bars that ended less than `delay` seconds of
    the exchange's time ago, or in the `way` "stale" as it all stood then; `slow` lets each REST
    call wait `delay` seconds; `rest_time` tells a time that is off by `ms`, `frame_time` dates
    frames so; `skew` puts the exchange's clock off by `ms`; `early_close` sets the closing flag of
    open kline frames, in the `way` "later" of the bar after; `versions` sends after each open
    candle the one before it again, as a server that is behind does;
    `archive` spoils bulk files in one `way` of archives.py, some of them in a `chance` share of
    rows (0: of a single one);
    `halted` lets `symbol` (the first one listed if None) trade no more and be listed as `state`,
    `delisted` takes it off the list, `renamed` does so and lists it as `to` instead (None: its
    base with a 2 behind it);
    `listing_halted` says in each answer of the listing that nothing trades, `listing_short`
    leaves a `chance` share of its rows out, `listing_bad_row` spoils that of `symbol`;
    `proxy_refuse` lets the sandbox's proxy lead nobody through, by HTTP `status` where it is asked
    so, and `proxy_silence` lets it answer nothing at all.

    Which: `protocol`, `symbol` (canonical) and `timeframe` narrow it down where they make sense;
    `chance` is the share of frames or candles; `only` "closing" or "open" picks among the kline
    frames; `sockets` "old" spares connections made after it began.
    Raises ValueError for what isn't known.
    """

    kind: str
    every: float | None = None
    seconds: float | None = None
    times: int | None = None
    protocol: str | None = None
    symbol: str | None = None
    timeframe: str | None = None
    # None until it is known, from the kind.
    chance: float = None  # type: ignore[assignment]
    only: str | None = None
    way: str | None = None
    delay: float = None  # type: ignore[assignment]
    status: int = 503
    retry_after: int = 1
    ms: int = None  # type: ignore[assignment]
    state: str = HALT
    to: str | None = None
    sockets: str = "all"
    hits: int = 0
    active: bool = field(default=False, init=False)
    began: float = field(default=0.0, init=False)  # when it last began, monotonic seconds
    _added: float = field(default=0.0, init=False, repr=False)
    _begun: int = field(default=0, init=False, repr=False)

    def __post_init__(self):
        for value, known, name in (
            (self.kind, KINDS, "scenario"),
            (self.way, (None, *_WAYS.get(self.kind, WAYS)), "way"),
            (self.only, (None, "closing", "open"), "only"),
            (self.sockets, ("all", "old"), "sockets"),
        ):
            if value not in known:
                listed = " ".join(one for one in known if one)
                raise ValueError(f"unknown {name} {value!r}; known are {listed}")
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value >= 0):
                raise ValueError(f"{name}={value!r} must be a number, 0 or more")
        if self.to is not None and "-" not in self.to:
            raise ValueError(f"to={self.to!r} must be the new name, such as POL-USD")
        if self.every == 0:
            raise ValueError("every=0 must be more than 0 seconds")
        self._one_each = self.every is not None and self.seconds is None and self.kind in FRAMES
        if self.chance is None:
            self.chance = 1.0 if self._one_each else _CHANCES.get(self.kind, 1.0)
        if self.delay is None:
            self.delay = _DELAYS.get(self.kind, 0.0)
        if self.ms is None:
            self.ms = _OFF_MS.get(self.kind, 0)
        if self.way is None and self.kind in _WAYS:
            self.way = _WAYS[self.kind][0]
        if self.seconds is None and self.every is not None:
            self.seconds = self.every / 3
        self._added = time.monotonic()

    def update(self, now: float) -> bool:
        """Notice the time; return whether it begins right now."""
        elapsed = now - self._added
        due = 1 if self.every is None else int(elapsed // self.every)
        if self.kind in TIMED and self.times is not None:
            due = min(due, self.times)
        begins = due > self._begun
        if begins:
            self._begun = due
            self.began = now
            self.hits += self.kind in TIMED
        lasts = self.seconds is None or now - self.began < self.seconds
        self.active = due > 0 and (lasts or self._one_each)
        return begins

    def concerns(self, protocol: str, symbol: str | None, timeframe: str | None) -> bool:
        return (
            self.protocol in (None, protocol)
            and self.symbol in (None, symbol)
            and self.timeframe in (None, timeframe)
        )

    def happens(self, random: Random) -> bool:
        """Count one more frame that this happens to, unless it is spared."""
        if not self.active or (self.times is not None and self.hits >= self.times):
            return False
        if self._one_each and self.hits >= self._begun:
            return False
        if self.chance < 1 and random.random() >= self.chance:
            return False
        self.hits += 1
        return True

    def as_json(self) -> dict:
        told = [one.name for one in fields(self) if not one.name.startswith("_")]
        return {name: getattr(self, name) for name in told if name != "began"}
