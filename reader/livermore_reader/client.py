"""A reader: what a notebook or a bot asks."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from livermore_reader import frames
from livermore_reader.candles import SIX, TEN, Asked, Candles
from livermore_reader.errors import BadRequest
from livermore_reader.following.asynchronous import AsyncFollowing
from livermore_reader.following.closes import Following, Heartbeat
from livermore_reader.sources.source import Close, Exchange, Source, Status
from livermore_reader.times import DERIVED, KEPT, length_ms, milliseconds

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

COUNT, MOST_KEPT = 500, 1000
When = str | int | datetime | None
Names = str | Sequence[str] | None  # of symbols, or of timeframes; None for all


class Reader:
    """Reads candles of all exchanges from one source. Any thread may ask."""

    def __init__(self, source: Source):
        self.source = source

    def read(
        self,
        exchange: str,
        symbol: str,
        timeframe: str,
        count: int | None = None,
        *,
        start: When = None,
        end: When = None,
        live: bool = False,
        strict: bool = False,
    ) -> Candles:
        """Return closed candles that opened from `start` on and before `end`, `count` at most.

        The newest `count`, 500 where nothing is said, without `start`. Raises BadRequest,
        Unavailable, and where `strict` Stale or Incomplete for what can't be trusted.
        """
        asked = _asked(exchange, symbol, timeframe, count, start, end, live)
        (found,) = self.source.candles([asked])
        return found.require() if strict else found

    def rows(
        self, exchange: str, symbol: str, timeframe: str, count: int | None = None, **how: Any
    ) -> list[list[Any]]:
        """Return `[timestamp, open, high, low, close, volume]` of each, as ccxt has them."""
        columns = _columns(how)
        found = self.read(exchange, symbol, timeframe, count, **how)
        return [row[: len(columns)] for row in frames.shown(found)]

    def candles(
        self, exchange: str, symbol: str, timeframe: str, count: int | None = None, **how: Any
    ) -> "pandas.DataFrame":
        """Return a frame by `timestamp`, UTC; `attrs["livermore"]` is what it stands on."""
        columns = _columns(how)
        return frames.pandas(self.read(exchange, symbol, timeframe, count, **how), columns)

    def polars(
        self, exchange: str, symbol: str, timeframe: str, count: int | None = None, **how: Any
    ) -> "polars.DataFrame":
        columns = _columns(how)
        return frames.polars(self.read(exchange, symbol, timeframe, count, **how), columns)

    def arrow(
        self, exchange: str, symbol: str, timeframe: str, count: int | None = None, **how: Any
    ) -> "pyarrow.Table":
        columns = _columns(how)
        return frames.arrow(self.read(exchange, symbol, timeframe, count, **how), columns)

    def read_macd_v(
        self,
        exchange: str,
        symbols: Sequence[str] | None = None,
        timeframes: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return MACD-V of each pair as it is kept, with `symbol`, `timeframe` and `current`.

        A value that is not current is an old one; where there is none nothing is beside these.
        """
        names = [_symbol(each) for each in symbols or ()]
        for each in timeframes or ():
            if each not in KEPT:
                raise BadRequest(f"{each!r} has no MACD-V; {' '.join(KEPT)} have")
        return list(self.source.macd_v(exchange, names, list(timeframes or KEPT)))

    def exchanges(self) -> Sequence[Exchange]:
        return self.source.exchanges()

    def pairs(self, exchange: str) -> list[tuple[str, str]]:
        """Return what is kept: each symbol in each timeframe."""
        return [(symbol, each) for symbol in self.source.symbols(exchange) for each in KEPT]

    def status(self, exchange: str) -> Status:
        return self.source.status(exchange)

    def ticker(self, exchange: str, symbol: str) -> dict[str, Any] | None:
        """Return the last ticker, None where none is known."""
        return self.source.ticker(exchange, _symbol(symbol))

    @overload
    def follow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        heartbeat: None = None,
    ) -> Following[Close]: ...
    @overload
    def follow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        *,
        heartbeat: float,
    ) -> Following[Close | Heartbeat]: ...
    def follow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        heartbeat: float | None = None,
    ) -> Following[Any]:
        """Return each close as it comes, once and in order per pair, for as long as it is asked.

        Where there are many, `since` goes on behind a close, by its `id`; "0-0" begins with the
        oldest that is kept, None with those from now on. Closes behind it that are no longer kept
        raise Gap, or are filled from the cache where `on_gap` is "fill". `heartbeat` is after how
        many quiet seconds a Heartbeat comes. Over cuts and restarts it goes on by itself. Raises
        BadRequest, Unavailable.
        """
        following: Following[Any] = Following(
            self.source, exchange, symbols, timeframes, since, on_gap, heartbeat
        )
        return following.begin()

    @overload
    def afollow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        heartbeat: None = None,
    ) -> AsyncFollowing[Close]: ...
    @overload
    def afollow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        *,
        heartbeat: float,
    ) -> AsyncFollowing[Close | Heartbeat]: ...
    def afollow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        heartbeat: float | None = None,
    ) -> AsyncFollowing[Any]:
        """Return the same for `async for`; it begins when it is first asked."""
        return AsyncFollowing(
            Following(self.source, exchange, symbols, timeframes, since, on_gap, heartbeat)
        )

    def close(self) -> None:
        self.source.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _columns(how: dict[str, Any]) -> Sequence[str]:
    """Take which columns are wanted out of arguments. Raises BadRequest."""
    wanted = how.pop("columns", None)
    if wanted is None:
        return SIX
    if wanted == "all":
        return TEN
    raise BadRequest(f'columns={wanted!r}: "all" is ten columns, without it there are six')


def _asked(
    exchange: str,
    symbol: str,
    timeframe: str,
    count: int | None,
    start: When,
    end: When,
    live: bool,
) -> Asked:
    length_ms(timeframe)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise BadRequest(f"count is a number of candles, 1 or more, not {count!r}")
    start_ms = None if start is None else milliseconds(start)
    end_ms = None if end is None else milliseconds(end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise BadRequest("start has to be before end, which is not included itself")
    limit = count
    if count is None and start_ms is None:
        limit = min(COUNT, most_of(timeframe))
    return Asked(exchange, _symbol(symbol), timeframe, start_ms, end_ms, limit, live)


def most_of(timeframe: str) -> int:
    """Return how many complete bars there can be of what is kept."""
    parts = DERIVED[timeframe][1] if timeframe in DERIVED else 1
    return MOST_KEPT if parts == 1 else MOST_KEPT // parts - 1


def _symbol(symbol: str) -> str:
    return str(symbol).strip().upper().replace("/", "-")
