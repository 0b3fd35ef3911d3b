"""What a protocol gives the sandbox: its REST calls, its streams, its settings, its symbols."""

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchanges.sandbox.faults.fault import Fault
from exchanges.sandbox.faults.frames import FrameFaults
from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.faults.rows import CandleRows
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply
from exchanges.sandbox.server.connection import Connection
from exchanges.sandbox.server.request_log import CandleRequest
from exchanges.sandbox.server.stream_log import StreamCounts


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of REST; `{segment}` in it is the part that names a symbol.

    The endpoint called `time` tells the time. `candles` reads a candle request for the log, before
    any check. `listing` says where a listing keeps what it tells. `odd_limits` are ways to change
    what a reply tells of limits, empty where it tells nothing of them. Calls to a `private` one
    are signed. `spoilt` answers for bulk files, given the faults that concern them; `about` says
    of which symbol and timeframe one is. They are on another host on real exchanges: what goes
    wrong with REST does not with them, unless it names their endpoint, and limits don't count them.
    """

    name: str
    path: str
    answer: Callable[[Call], Reply]
    weight: Callable[[Call], int] = lambda call: 1
    candles: Callable[[Call], CandleRequest] | None = None
    listing: ListingRows | None = None
    odd_limits: Mapping[str, Callable[[dict], None]] = field(default_factory=dict)
    private: bool = False
    spoilt: Callable[[Call, Sequence[Fault]], Reply] | None = None
    about: Callable[[Call], tuple[str | None, str | None]] = lambda call: (None, None)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it stands for another host."""
        return self.spoilt is not None

    @property
    def own_faults(self) -> set[str]:
        """The kinds of faults that happen to few endpoints, this one among them."""
        kinds = {
            "time": self.name == "time",
            "limits": self.odd_limits,
            "refused_key": self.private,
            "archive": self.is_elsewhere,
        }
        return {kind for kind, happens in kinds.items() if happens}


class Rest(typing.Protocol):
    """One protocol's REST over a market, with its limits.

    `admit` counts a call against the limits and returns the headers that every answer carries,
    or raises Refusal. `failure` words a status the way this exchange does, given seconds to
    wait (or None) and the time. `reset` forgets what was counted.
    """

    endpoints: tuple[Endpoint, ...]

    def admit(self, endpoint: Endpoint, call: Call) -> dict[str, str]: ...
    def failure(self, status: int, retry_after: int | None, now_ms: int) -> Reply: ...
    def reset(self) -> None: ...


class Streams(typing.Protocol):
    """One protocol's streaming side over a market, without its sockets.

    `now` is this machine's monotonic clock in seconds, `now_ms` the exchange's time. `refusal`
    counts an attempt to connect and returns the HTTP status that refuses it, or None.
    """

    name: str

    def refusal(self, now: float) -> int | None: ...
    def open(self, connection: Connection, call: Call) -> None: ...
    def receive(self, connection: Connection, opcode: int, data: bytes, now: float) -> None: ...
    def leave(self, connection: Connection) -> None: ...
    def maintain(self, connection: Connection, now: float) -> None: ...
    def announce_end(self, connection: Connection, now: float) -> None: ...
    def send_due(self, now_ms: int, now: float) -> None: ...


StreamsMaker = Callable[[Market, SandboxClock, Any, StreamCounts, FrameFaults], Streams]


@dataclass(frozen=True)
class NoSettings:
    """Those of a protocol that has none."""


@dataclass(frozen=True)
class Protocol:
    """One exchange's public protocol; each folder gives one, `protocols.py` lists them.

    `settings` is a frozen dataclass whose names SandboxConfig takes too; what `option` made is an
    option of the command. `rest` and `streams` make the two sides, given an instance of `settings`.
    `{segment}` in a path of `ws_paths` is what a connection asks for in its URL. `own_listings` are
    symbols that it alone lists. `weight_header` names the header that tells the used weight.
    `early_close` turns an open candle's frame into the closing one of its bar, or in the way
    "later" of the bar after it; None where frames have no such flag.
    """

    name: str
    rest: Callable[[Market, Any], Rest]
    candle_rows: CandleRows
    streams: StreamsMaker
    ws_paths: tuple[str, ...]
    settings: type = NoSettings
    own_listings: tuple[Listing, ...] = ()
    weight_header: str = ""
    early_close: Callable[[bytes, str], bytes] | None = None


def option(default: int, text: str) -> int:
    """Return a dataclass field that is an option of the command too; `text` is its help."""
    return field(default=default, metadata={"help": text})
