"""A reader: what a notebook or a bot asks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload
from weakref import WeakSet

from livermore_reader import frames
from livermore_reader.asking import (
    Names,
    When,
    asked_of,
    column_of,
    columns_of,
    exchange_of,
    kept_timeframes,
    symbol_of,
    symbols_of,
    timeframes_of,
)
from livermore_reader.candles import Asked, Candles
from livermore_reader.errors import BadRequest
from livermore_reader.following.closes import Following, Heartbeat
from livermore_reader.panels import level, told_of
from livermore_reader.sources.source import Close, Exchange, Source, Status
from livermore_reader.times import KEPT

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from livermore_reader.following.asynchronous import AsyncFollowing


class Reader:
    """Reads candles of all exchanges from one source. Any thread may ask."""

    def __init__(self, source: Source):
        self.source = source
        self._followings: WeakSet[Following[Any]] = WeakSet()

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
        asked = asked_of(exchange, symbol, timeframe, count, start, end, live)
        return self._found(asked, strict)

    def candles(
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
        columns: str | None = None,
    ) -> "pandas.DataFrame":
        """Return the same as a frame by `timestamp`, the open time in UTC; all else is float64.

        `attrs["livermore"]` is what it stands on. With `live` the open candle is its last row
        where that is known, which `attrs` then say; columns="all" are ten.
        """
        wanted = columns_of(columns)
        asked = asked_of(exchange, symbol, timeframe, count, start, end, live)
        found = self._found(asked._replace(width=len(wanted)), strict)
        return frames.pandas(found, wanted)

    def rows(
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
        columns: str | None = None,
    ) -> list[list[Any]]:
        """Return the same as `[timestamp, open, high, low, close, volume]` each, as ccxt has it."""
        wanted = columns_of(columns)
        asked = asked_of(exchange, symbol, timeframe, count, start, end, live)
        found = self._found(asked._replace(width=len(wanted)), strict)
        return [row[: len(wanted)] for row in frames.shown(found)]

    def polars(
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
        columns: str | None = None,
    ) -> "polars.DataFrame":
        """Return the same as a frame of polars, which has no place for what it stands on."""
        wanted = columns_of(columns)
        asked = asked_of(exchange, symbol, timeframe, count, start, end, live)
        found = self._found(asked._replace(width=len(wanted)), strict)
        return frames.polars(found, wanted)

    def arrow(
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
        columns: str | None = None,
    ) -> "pyarrow.Table":
        """Return the same as a table; `schema.metadata[b"livermore"]` is what it stands on."""
        wanted = columns_of(columns)
        asked = asked_of(exchange, symbol, timeframe, count, start, end, live)
        found = self._found(asked._replace(width=len(wanted)), strict)
        return frames.arrow(found, wanted)

    def panel(
        self,
        exchange: str,
        symbols: Names,
        timeframe: str,
        count: int | None = None,
        *,
        start: When = None,
        end: When = None,
        column: str = "close",
        strict: bool = False,
    ) -> "pandas.DataFrame":
        """Return one column of many symbols, all for None, each a column, by `timestamp`.

        NaN is where a bar had no trade, or is missing: `attrs["livermore"]` says of which symbols
        what. Asked in one round trip where that can be.
        """
        at = column_of(column)
        names = symbols_of(symbols) or list(self.source.symbols(exchange_of(exchange)))
        if not names:
            raise BadRequest(f"{exchange} keeps no candles of any symbol")
        asked = [asked_of(exchange, each, timeframe, count, start, end) for each in names]
        once = {each.symbol: each for each in self.source.candles(asked)}  # by all its names
        found = level(list(once.values()), asked[0].limit)
        if strict:
            for each in found:
                each.require()
        return frames.panel(found, at, told_of(found, column))

    def newest(
        self, exchange: str, symbols: Names = None, timeframes: Names = None, count: int = 1
    ) -> list[Candles]:
        """Return the newest closed candles of many pairs, of all that are kept for None.

        Timeframes that are made of kept ones may be among them. Each says by itself whether
        it is stale and what of it is missing. Asked in one round trip where that can be.
        """
        names = symbols_of(symbols) or self.source.symbols(exchange_of(exchange))
        asked = [
            asked_of(exchange, symbol, timeframe, count, None, None)
            for symbol in names
            for timeframe in timeframes_of(timeframes)
        ]
        found = self.source.candles(asked)
        return list({(each.symbol, each.timeframe): each for each in found}.values())

    def read_macd_v(
        self, exchange: str, symbols: Names = None, timeframes: Names = None
    ) -> list[dict[str, Any]]:
        """Return MACD-V of each pair as it is kept, with `symbol`, `timeframe` and `current`.

        A value that is not current is an old one; where there is none nothing is beside these.
        """
        chosen = kept_timeframes(timeframes)
        return list(self.source.macd_v(exchange_of(exchange), symbols_of(symbols), chosen))

    def macd_v(
        self, exchange: str, symbols: Names = None, timeframes: Names = None
    ) -> "pandas.DataFrame":
        """Return the same as a frame, a row for each pair."""
        return frames.values(self.read_macd_v(exchange, symbols, timeframes))

    def exchanges(self) -> Sequence[Exchange]:
        return self.source.exchanges()

    def pairs(self, exchange: str) -> list[tuple[str, str]]:
        """Return what is kept: each symbol in each timeframe."""
        symbols = self.source.symbols(exchange_of(exchange))
        return [(symbol, each) for symbol in symbols for each in KEPT]

    def status(self, exchange: str) -> Status:
        return self.source.status(exchange_of(exchange))

    def ticker(self, exchange: str, symbol: str) -> dict[str, Any] | None:
        """Return the last ticker, None where none is known."""
        return self.source.ticker(exchange_of(exchange), symbol_of(symbol))

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
        how = (symbols, timeframes, since, on_gap, heartbeat)
        return self._following(exchange, *how).begin()

    @overload
    def afollow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        heartbeat: None = None,
    ) -> "AsyncFollowing[Close]": ...
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
    ) -> "AsyncFollowing[Close | Heartbeat]": ...
    def afollow(
        self,
        exchange: str,
        symbols: Names = None,
        timeframes: Names = None,
        since: str | None = None,
        on_gap: str = "raise",
        heartbeat: float | None = None,
    ) -> "AsyncFollowing[Any]":
        """Return the same for `async for`; it begins when it is first asked."""
        from livermore_reader.following.asynchronous import AsyncFollowing  # it takes a while

        how = (symbols, timeframes, since, on_gap, heartbeat)
        return AsyncFollowing(self._following(exchange, *how))

    def _following(self, *what: Any) -> Following[Any]:
        following: Following[Any] = Following(self.source, *what)
        self._followings.add(following)
        return following

    def close(self) -> None:
        """End what follows, too, in whichever thread that waits."""
        for each in list(self._followings):
            each.close()
        self.source.close()

    def _found(self, asked: Asked, strict: bool) -> Candles:
        (found,) = self.source.candles([asked])
        return found.require() if strict else found

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
