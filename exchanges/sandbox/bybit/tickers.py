"""Bybit's tickers over REST, and what a ticker of its streams holds."""

from exchanges.sandbox.bybit.errors import envelope, refused
from exchanges.sandbox.bybit.listing import KINDS, Listed, category_of, native_name
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Bar
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import PERPETUAL, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply, as_json


class Tickers:
    """Answers `tickers`: the last 24 hours of all that trades in a category, or of one symbol."""

    def __init__(self, market: Market, listed: Listed):
        self._market, self._listed = market, listed

    def answer(self, call: Call) -> Reply:
        category, native = category_of(call), call.params.get("symbol")
        chosen = self._listed.trading(category) if category in KINDS else []
        chosen = [one for one in chosen if native in (None, native_name(one))]
        if native and not chosen:
            raise refused("Not supported symbols", call.now_ms)
        told = [self._ticker(one, call.now_ms) for one in chosen]
        listed = {"category": category, "list": [one for one in told if one]}
        return as_json(envelope(listed, call.now_ms))

    def _ticker(self, listing: Listing, now_ms: int) -> dict | None:
        day = self._market.of(listing.symbol).day_before(now_ms)
        return day and rest_ticker(listing, day)


def rest_ticker(listing: Listing, day: Bar) -> dict[str, str]:
    """Write 24 hours in one bar as REST does, with the best bid and ask a tick around the last."""
    return day_ticker(listing, day) | best_prices(listing, day)


def day_ticker(listing: Listing, day: Bar) -> dict[str, str]:
    """Write what the streams of both categories tell of 24 hours."""

    def price(ticks: int) -> str:
        return short(ticks, listing.decimals)

    turnover = day.quote // 10**listing.decimals
    told = {
        "symbol": native_name(listing),
        "lastPrice": price(day.close),
        "highPrice24h": price(day.high),
        "lowPrice24h": price(day.low),
        "prevPrice24h": price(day.open),
        "volume24h": short(day.volume, VOLUME_DECIMALS),
        "turnover24h": short(turnover, VOLUME_DECIMALS),
        "price24hPcnt": f"{(day.close - day.open) / day.open:.6f}",
    }
    if listing.kind == PERPETUAL:
        told |= {"markPrice": price(day.close), "indexPrice": price(day.close)}
    return told


def best_prices(listing: Listing, day: Bar) -> dict[str, str]:
    """Write the best bid and ask: a tick around the last price."""
    lot = short(listing.lot, VOLUME_DECIMALS)
    bid, ask = (short(day.close + off, listing.decimals) for off in (-1, 1))
    return {"bid1Price": bid, "bid1Size": lot, "ask1Price": ask, "ask1Size": lot}
