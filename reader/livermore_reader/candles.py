"""Candles of a pair, with what they stand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from livermore_reader.errors import Incomplete, Stale, Stretch
from livermore_reader.times import utc

# `[timestamp, open, high, low, close, volume, quote_volume, trades, taker_base, taker_quote]`
Row = list[Any]
SIX = ("timestamp", "open", "high", "low", "close", "volume")
TEN = (*SIX, "quote_volume", "trades", "taker_base", "taker_quote")


class Asked(NamedTuple):
    """Bars of a pair that opened from `start_ms` on and before `end_ms`, `limit` at most.

    With a start the oldest, without it the newest; no end is now; no limit is all between both.
    """

    exchange: str
    symbol: str
    timeframe: str
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int | None = 500
    live: bool = False  # the open candle too, apart from the others
    width: int = len(TEN)  # how many columns are looked at; rows may have more


@dataclass(frozen=True, slots=True)
class Candles:
    """Closed candles, ascending, and what is missing of those that were asked for.

    `rows` have ten columns, None for those of the last four that are not known; those of history
    are a sequence that makes each row as it is asked for (`columns.Columns`). `missing` are
    half-open stretches, ascending; a bar that is absent elsewhere had no trade. A bar that ended
    less than five seconds ago and isn't there yet is left out, and not missing. `newest_close_ms`
    is the end of the pair's newest closed candle that is known, `now_ms` the time at the exchange.
    `source` is how they came (`stream`, `healed`, `rest`, `derived`, `history`, several with
    commas), None where nobody knows. `open_row` is the open candle, where it was asked for and is
    known.
    """

    exchange: str
    symbol: str
    timeframe: str
    rows: Sequence[Row]
    missing: tuple[Stretch, ...]
    is_stale: bool  # the newest one that should be there is missing
    newest_close_ms: int | None
    now_ms: int
    source: str | None
    open_row: Row | None = None

    @property
    def is_complete(self) -> bool:
        return not self.missing

    @property
    def age_ms(self) -> int | None:
        """How long ago the newest closed candle ended, by the exchange's clock."""
        return None if self.newest_close_ms is None else max(0, self.now_ms - self.newest_close_ms)

    def attrs(self) -> dict[str, Any]:
        """Return what frames carry as `attrs["livermore"]`."""
        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "age_ms": self.age_ms,
            "complete": self.is_complete,
            "missing": [list(each) for each in self.missing],
            "newest_close": self.newest_close_ms,
            "source": self.source,
        }

    def require(self) -> "Candles":
        """Return these where all that was asked for is there. Raises Stale, Incomplete."""
        if not self.missing:
            return self
        since, until = self.missing[0][0], self.missing[-1][1]
        which = f"{self.exchange} {self.symbol} {self.timeframe}"
        if self.is_stale:
            newest = utc(self.newest_close_ms) if self.newest_close_ms else "none"
            raise Stale(
                f"{which}: candles from {utc(self.missing[-1][0])} on are missing; the newest one "
                f"that is known ended at {newest}",
                self.missing,
            )
        raise Incomplete(
            f"{which}: candles are missing between {utc(since)} and {utc(until)}", self.missing
        )
