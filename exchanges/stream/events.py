"""What a venue's stream says, in the same form whichever exchange it came from."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from livermore.market.candle import Candle, Ticker

TOO_FAST = re.compile("rate limit|msg rate|too many (requests|messages)", re.IGNORECASE)


class CandleUpdate(NamedTuple):  # as each frame makes one: in half of a dataclass's time
    """A candle as it stands: the whole bar so far, `closed` only where the exchange says so."""

    symbol: str
    candle: Candle
    closed: bool


@dataclass(frozen=True, slots=True)
class Concluded:
    """A bar is closed as it stands: no frame says so, but others that came show it."""

    symbol: str
    candle: Candle


@dataclass(frozen=True, slots=True)
class Revised:
    """The bar that holds `time_ms` was told to be closed, and is shown as another one since."""

    symbol: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Traded:
    """Something was traded at `time_ms`, whether or not its candle can be told."""

    symbol: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing was traded in `[from_ms, to_ms)`: no trade lies between two that are known."""

    symbol: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Clock:
    """The exchange's time when it sent the frame."""

    time_ms: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Frames of this connection are missing: `count` of them, None where nobody can tell."""

    count: int | None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The exchange will soon close this connection: move over to a new one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange refused what we sent, for this reason."""

    reason: str

    @property
    def passing(self) -> bool:
        """Tell whether the same may be asked again in a moment: it came too fast, no more."""
        return bool(TOO_FAST.search(self.reason))


Event = (
    CandleUpdate | Concluded | Revised | Traded | Quiet | Ticker | Clock | Lost | Shutdown | Refused
)
