"""What each way of reading can do. All times are UTC epoch milliseconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from livermore_reader.candles import Asked, Candles


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange: its number, its name, and the protocol that it speaks."""

    number: int
    name: str
    display_name: str
    venue: str


@dataclass(frozen=True, slots=True)
class Status:
    """Whether an exchange is streamed now, what time it is there, and what its runner does.

    `state` is `offline` where there is no runner. `told` is all that the runner says of itself.
    """

    exchange: str
    streamed: bool
    now_ms: int
    state: str
    phase: str
    newest_close_ms: int | None
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Close:
    """A bar that has closed. `row` has ten columns, as those of candles.

    `id` is where to go on behind it. `late`: closes of later bars were told before. `again`: it may
    have been told before. `filled`: read from the cache, as its event is no longer kept.
    """

    id: str
    exchange: str
    symbol: str
    timeframe: str
    row: list[Any]
    healed: bool = False
    late: bool = False
    again: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read of events brought, in order; `last_id` is where the next one goes on.

    `gap_after` is the id behind which events are no longer kept, None where nothing is missing;
    `closes` begin with the oldest that is kept then. `streamed` is None where it isn't known.
    """

    closes: Sequence[Close]
    last_id: str
    gap_after: str | None = None
    streamed: bool | None = None


class Events(Protocol):
    """The closes of an exchange behind an id; goes on over cuts and restarts by itself."""

    def read(self, seconds: float) -> Batch:
        """Return what comes within so long, maybe nothing. Raises Unavailable while cut off."""

    def close(self) -> None:
        """End a `read` that waits in another thread, too."""


class Source(Protocol):
    """One way of reading. Raises BadRequest for what there isn't, Unavailable while cut off."""

    def exchanges(self) -> Sequence[Exchange]: ...

    def symbols(self, exchange: str) -> Sequence[str]:
        """Return the symbols whose candles are kept, in alphabetical order."""

    def names(self, exchange: str) -> Mapping[str, str]:
        """Return these symbols by all that they may be called."""

    def candles(self, asked: Sequence[Asked]) -> Sequence[Candles]:
        """Return what there is of each, in one round trip where that can be."""

    def macd_v(
        self, exchange: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> Sequence[dict[str, Any]]:
        """Return values as they are kept, with `symbol`, `timeframe` and `current`; none for no
        value."""

    def status(self, exchange: str) -> Status: ...

    def ticker(self, exchange: str, symbol: str) -> dict[str, Any] | None:
        """Return the last ticker, None where none is known."""

    def events(
        self, exchange: str, after: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> Events:
        """Return closes behind an id; "" is only new ones, "0-0" all that are kept."""

    def close(self) -> None: ...
