"""Coinbase's recent trades with the best bid and ask, and its book, as its REST tells them."""

from datetime import UTC, datetime

from exchanges.sandbox.coinbase.errors import internal
from exchanges.sandbox.coinbase.listing import Products
from exchanges.sandbox.market.bars import VOLUME_DECIMALS, Trade
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import SymbolMarket
from exchanges.sandbox.server.calls import Call, Reply, as_json, whole_number
from livermore.market.timeframe import MINUTE_MS, Timeframe

MAX_TRADES = 100
LEVELS = 10  # of the book, a tick apart
_LOOK_BACK = 300  # minutes; a quiet product pauses for less


class Tickers:
    """Answers `ticker` and `product_book`."""

    def __init__(self, market: Market, products: Products):
        self._market, self._products = market, products

    def ticker(self, call: Call) -> Reply:
        listing = self._products.listing(call.segment)
        limit = whole_number(call.params.get("limit", str(MAX_TRADES)))
        if limit is None or limit > 1000:
            raise internal()
        start, end = (whole_number(call.params.get(name)) for name in ("start", "end"))
        end_ms = call.now_ms if end is None else min(end * 1000, call.now_ms)
        trades = self._trades(listing, start and start * 1000, end_ms, min(limit, MAX_TRADES))
        symbol_market = self._market.of(listing.symbol)
        shown = [
            trade_json(trade, listing.symbol, symbol_market.listing.decimals) for trade in trades
        ]
        bar = symbol_market.open_bar(Timeframe.M1, call.now_ms)
        decimals = symbol_market.listing.decimals
        bid = short(bar.close - 1, decimals) if bar else ""
        ask = short(bar.close + 1, decimals) if bar else ""
        return as_json({"trades": shown, "best_bid": bid, "best_ask": ask})

    def book(self, call: Call) -> Reply:
        listing = self._products.listing(call.params.get("product_id", ""))
        count = min(whole_number(call.params.get("limit")) or LEVELS, LEVELS)
        symbol_market = self._market.of(listing.symbol)
        bar = symbol_market.open_bar(Timeframe.M1, call.now_ms)
        decimals, size = symbol_market.listing.decimals, short(listing.lot, VOLUME_DECIMALS)

        def levels(way: int) -> list[dict[str, str]]:
            ticks = [bar.close + way * at for at in range(1, count + 1)] if bar else []
            return [{"price": short(each, decimals), "size": size} for each in ticks]

        book = {"product_id": listing.symbol, "bids": levels(-1), "asks": levels(1)}
        last = short(bar.close, decimals) if bar else ""
        return as_json(
            {
                "pricebook": book | {"time": iso(call.now_ms)},
                "last": last,
                "mid_market": last,
                "spread_bps": "",
                "spread_absolute": short(2, decimals),
            }
        )

    def _trades(
        self, listing: Listing, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Trade]:
        return newest_trades(self._market.of(listing.symbol), start_ms or 0, end_ms, limit)


def newest_trades(
    symbol_market: SymbolMarket, start_ms: int, end_ms: int, limit: int
) -> list[Trade]:
    """Return the newest `limit` trades in [start_ms, end_ms], newest first."""
    newest, found = Timeframe.M1.floor(end_ms), []
    for minute_ms in range(newest, newest - _LOOK_BACK * MINUTE_MS, -MINUTE_MS):
        trades = reversed(symbol_market.trades(minute_ms))
        found += [trade for trade in trades if start_ms <= trade.time_ms <= end_ms]
        if len(found) >= limit or minute_ms <= start_ms:
            break
    return found[:limit]


def trade_json(trade: Trade, product_id: str, decimals: int) -> dict:
    """Write one trade; `side` is the maker's."""
    return {
        "trade_id": str(trade.id),
        "product_id": product_id,
        "price": short(trade.price, decimals),
        "size": short(trade.size, VOLUME_DECIMALS),
        "time": iso(trade.time_ms),
        "side": "SELL" if trade.buyer_took else "BUY",
    }


def iso(time_ms: int) -> str:
    """Write a time as RFC 3339 with milliseconds."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
