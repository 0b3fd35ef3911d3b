"""The made-up market: what every candle truly is, whoever asks and whenever."""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite

from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar, Trade
from exchanges.sandbox.market.listings import Listing, perpetuals
from exchanges.sandbox.market.symbol import SymbolMarket
from livermore.market.timeframe import Timeframe

Candle = tuple[int, float, float, float, float, float]
Row = list[int | float]


class Market:
    """The markets of all symbols of a sandbox, by canonical symbol.

    Everything in it follows from `seed` and the listings, so a test that knows both can
    recompute what a server said. It doesn't know the time: a candle is what it will have
    become once its period is over. Symbols may stop trading, and begin again, as time goes by.
    """

    def __init__(self, seed: int, listings: Iterable[Listing]):
        """Beside each spot listing stands its perpetual, for the protocols that have such."""
        listings = list(listings)
        listings += perpetuals(listings)
        self.listings = {listing.symbol: listing for listing in listings}
        self._seed = seed
        self._statuses: dict[str, str] = {}  # of those that are not what they were at the start
        self._symbol_markets = {
            symbol: SymbolMarket(seed, listing, walks_as=listing.walks_as)
            for symbol, listing in self.listings.items()
            if not listing.alias
        }

    def of(self, symbol: str) -> SymbolMarket:
        """Return a symbol's market, or that of what it is an alias of. KeyError if unlisted."""
        return self._symbol_markets[self.listings[symbol].alias or symbol]

    def status(self, symbol: str) -> str:
        """Return what a symbol is told to be now, GONE where a scenario took it away."""
        return self._statuses.get(symbol) or self.listings[symbol].status

    def seen_ms(self, symbol: str, now_ms: int) -> int:
        """Return up to when somebody who looks at `now_ms` sees the symbol's trades."""
        halted_ms = self.of(symbol).halted_ms
        return now_ms if halted_ms is None else min(now_ms, halted_ms - 1)

    def stop(self, symbol: str, status: str, now_ms: int) -> None:
        """Let a symbol trade no more from the next minute on, and be told as `status`."""
        self._statuses[symbol] = status
        self.of(symbol).halt(now_ms)

    def resume(self, symbol: str, now_ms: int) -> None:
        """Let a symbol trade again from the next minute on."""
        self._statuses.pop(symbol, None)
        self.of(symbol).resume(now_ms)

    def draw(self, symbol: str, from_ms: int, closes: Iterable[float]) -> None:
        """Let a symbol's minutes from a time on close at these prices, each rounded to a tick.

        KeyError if unlisted, else errors as in `SymbolMarket.draw`.
        """
        symbol_market = self.of(symbol)
        closes, tick = list(closes), 10**symbol_market.listing.decimals
        if not all(map(isfinite, closes)):
            raise ValueError("prices are finite numbers")
        symbol_market.draw(from_ms, [round(close * tick) for close in closes])

    def list_anew(self, symbol: str, name: str, now_ms: int) -> None:
        """List a symbol under another name too, at its prices from the next minute on."""
        if name in self.listings:
            self.resume(name, now_ms)
            return
        listed_ms = Timeframe.M1.ceil(now_ms + 1)
        known = self.listings[symbol]
        listing = replace(known, symbol=name, listed_ms=listed_ms, alias="")
        self._symbol_markets[name] = SymbolMarket(
            self._seed, listing, walks_as=known.walks_as or known.alias or symbol
        )
        self.listings[name] = listing

    def candle(self, symbol: str, timeframe: Timeframe, open_ms: int) -> Candle | None:
        """Return `(open_ms, open, high, low, close, volume)`, or None before the listing.

        Equal to the floats a client parses from the exchange's text.
        """
        candles = self.closed_candles(symbol, timeframe, open_ms, open_ms + 1)
        return candles[0] if candles else None

    def closed_candles(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        *,
        traded_only: bool = False,
    ) -> list[Candle]:
        """Return the candles that open in [start_ms, end_ms), oldest first.

        `traded_only` leaves out those without a trade.
        """
        symbol_market = self.of(symbol)
        return [
            floats(bar, symbol_market.listing)
            for bar in symbol_market.bars(timeframe, start_ms, end_ms)
            if bar.trades or not traded_only
        ]

    def closed_rows(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ms: int,
        end_ms: int,
        *,
        traded_only: bool = False,
    ) -> list[Row]:
        """Return the same candles with four columns behind each.

        They are quote volume, trades, and what takers bought of base and quote.
        """
        symbol_market = self.of(symbol)
        return [
            [*floats(bar, symbol_market.listing), *columns(bar, symbol_market.listing)]
            for bar in symbol_market.bars(timeframe, start_ms, end_ms)
            if bar.trades or not traded_only
        ]

    def trades(self, symbol: str, minute_ms: int) -> list[Trade]:
        """Return the trades of one minute, which aggregate exactly to its candle."""
        return self.of(symbol).trades(minute_ms)


def floats(bar: Bar, listing: Listing) -> Candle:
    """Turn a bar of whole numbers into a candle of floats."""
    tick, unit = 10**listing.decimals, 10**VOLUME_DECIMALS
    prices = (bar.open / tick, bar.high / tick, bar.low / tick, bar.close / tick)
    return (bar.open_ms, *prices, bar.volume / unit)


def columns(bar: Bar, listing: Listing) -> tuple[float, int, float, float]:
    """Return quote volume, trades, and takers' base and quote of a bar, in eight decimals."""
    tick, unit = 10**listing.decimals, 10**VOLUME_DECIMALS
    return (bar.quote // tick / unit, bar.trades, bar.taken / unit, bar.paid // tick / unit)
