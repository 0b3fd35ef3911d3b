"""Binance's tickers over REST: 24 hours, the last price, and the best bid and ask."""

import json
from collections.abc import Callable

from exchanges.sandbox.binance.listing import Listed, native_name
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import eight
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply, as_json
from exchanges.venues.binance.server.errors import BAD_TICKER_TYPE, ApiError
from exchanges.venues.binance.server.parameters import Parameters
from livermore.market.timeframe import Timeframe

DAY_MS = Timeframe.D1.ms


class Tickers:
    """Answers `ticker/24hr`, `ticker/price` and `ticker/bookTicker`; says what they weigh."""

    def __init__(self, market: Market, listed: Listed):
        self._market, self._listed = market, listed

    def day(self, call: Call) -> Reply:
        sent = Parameters(call.params)
        names, kind, status = sent.symbols(), sent.optional("type"), sent.status()
        sent.finish()
        if kind not in (None, "FULL", "MINI"):
            raise ApiError(*BAD_TICKER_TYPE)
        chosen = self._listed.of_status(names, status, is_one="symbol" in call.params)
        tickers = [self._ticker(one, call.now_ms, kind == "MINI") for one in chosen]
        return _one_or_all(call, [ticker for ticker in tickers if ticker])

    def day_weight(self, call: Call) -> int:
        count = _symbols_asked(call)
        if count is None or count > 100:
            return 80
        return 2 if count <= 20 else 40

    def price(self, call: Call) -> Reply:
        def price(listing: Listing, bar: Bar) -> dict:
            return {"symbol": native_name(listing), "price": eight(bar.close, listing.decimals)}

        return self._of_last_bar(call, price)

    def book(self, call: Call) -> Reply:
        return self._of_last_bar(call, best_prices)

    def _of_last_bar(self, call: Call, write: Callable[[Listing, Bar], dict]) -> Reply:
        sent = Parameters(call.params)
        names, status = sent.symbols(), sent.status()
        sent.finish()
        chosen = self._listed.of_status(names, status, is_one="symbol" in call.params)
        bars = [(listing, self._bar(listing, call.now_ms)) for listing in chosen]
        return _one_or_all(call, [write(listing, bar) for listing, bar in bars if bar])

    def price_weight(self, call: Call) -> int:
        return 2 if "symbol" in call.params else 4

    def _bar(self, listing: Listing, now_ms: int) -> Bar | None:
        return self._market.of(listing.symbol).open_bar(Timeframe.M1, now_ms)

    def _ticker(self, listing: Listing, now_ms: int, mini: bool) -> dict | None:
        bar = self._market.of(listing.symbol).day_before(now_ms)
        return bar and day_ticker(listing, bar, now_ms, mini)


def day_ticker(listing: Listing, bar: Bar, now_ms: int, mini: bool) -> dict:
    """Write 24 hours in one bar as REST does; `mini` is the shorter form."""

    def price(ticks: int) -> str:
        return eight(ticks, listing.decimals)

    quote = bar.quote // 10**listing.decimals
    ticker = {
        "symbol": native_name(listing),
        "openPrice": price(bar.open),
        "highPrice": price(bar.high),
        "lowPrice": price(bar.low),
        "lastPrice": price(bar.close),
        "volume": eight(bar.volume, VOLUME_DECIMALS),
        "quoteVolume": eight(quote, VOLUME_DECIMALS),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": bar.first_id if bar.trades else -1,
        "lastId": bar.first_id + bar.trades - 1 if bar.trades else -1,
        "count": bar.trades,
    }
    if mini:
        return ticker
    average = bar.quote // bar.volume if bar.volume else bar.close
    lot = eight(listing.lot, VOLUME_DECIMALS)
    return ticker | {
        "priceChange": price(bar.close - bar.open),
        "priceChangePercent": f"{(bar.close - bar.open) / bar.open * 100:.3f}",
        "weightedAvgPrice": price(average),
        "prevClosePrice": price(bar.open),
        "lastQty": lot,
        **_best(listing, bar),
    }


def best_prices(listing: Listing, bar: Bar) -> dict:
    """Write the best bid and ask, which lie a tick around the last price."""
    return {"symbol": native_name(listing), **_best(listing, bar)}


def _best(listing: Listing, bar: Bar) -> dict:
    lot = eight(listing.lot, VOLUME_DECIMALS)
    return {
        "bidPrice": eight(bar.close - 1, listing.decimals),
        "bidQty": lot,
        "askPrice": eight(bar.close + 1, listing.decimals),
        "askQty": lot,
    }


def _symbols_asked(call: Call) -> int | None:
    """Count the symbols of a call, leniently: its weight is due even if it is then refused."""
    if "symbol" in call.params:
        return 1
    try:
        found = json.loads(call.params.get("symbols", "null"))
    except ValueError:
        return 1
    return len(found) if isinstance(found, list) else None if found is None else 1


def _one_or_all(call: Call, entries: list[dict]) -> Reply:
    return as_json(entries[0] if "symbol" in call.params and entries else entries)
