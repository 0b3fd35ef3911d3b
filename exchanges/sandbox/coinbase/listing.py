"""Coinbase's product list, single products and recent trades."""

from datetime import UTC, datetime

from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import BREAK, CANCEL_ONLY, COINBASE, GONE, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import VOLUME_DECIMALS, SymbolMarket, Trade
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json, whole_number
from livermore.market.timeframe import MINUTE_MS, Timeframe

MAX_TRADES = 100
ENDED = (BREAK, GONE)
_LOOK_BACK = 300  # minutes; a quiet product pauses for less


class Products:
    """Everything but candles, by product id."""

    def __init__(self, market: Market):
        self._market = market

    def listing(self, product_id: str) -> Listing:
        """Return a product; one that a scenario took away is refused like one that never was."""
        listing = self._market.listings.get(product_id)
        known = listing is not None and COINBASE in listing.protocols
        if not known or self._market.status(product_id) == GONE:
            message = f"Product {product_id} not supported"
            raise Refusal(as_json({"error": "NOT_FOUND", "message": message}, 404))
        return listing

    def many(self, call: Call) -> Reply:
        wanted = call.params.getall("product_ids", [])
        spot = call.params.get("product_type", "SPOT") in ("SPOT", "UNKNOWN_PRODUCT_TYPE")
        found = [one for one in self._listed() if spot and one.symbol in (wanted or [one.symbol])]
        offset = whole_number(call.params.get("offset")) or 0
        limit = whole_number(call.params.get("limit")) or len(found)
        if call.params.get("get_all_products") == "true":
            offset, limit = 0, len(found)
        shown = [self._product(one, call.now_ms) for one in found[offset : offset + limit]]
        more = {"has_next": offset + limit < len(found), "has_prev": offset > 0}
        pagination = {"prev_cursor": "", "next_cursor": "", **more}
        return as_json({"products": shown, "num_products": len(shown), "pagination": pagination})

    def _listed(self) -> list[Listing]:
        return [one for one in list(self._market.listings.values()) if COINBASE in one.protocols]

    def one(self, call: Call) -> Reply:
        return as_json(self._product(self.listing(call.segment), call.now_ms))

    def ticker(self, call: Call) -> Reply:
        listing = self.listing(call.segment)
        limit = whole_number(call.params.get("limit", str(MAX_TRADES)))
        if limit is None or limit > 1000:
            raise Refusal(as_json({"error": "INTERNAL", "message": "Internal error"}, 500))
        start, end = (whole_number(call.params.get(name)) for name in ("start", "end"))
        end_ms = call.now_ms if end is None else min(end * 1000, call.now_ms)
        trades = self._trades(listing, start and start * 1000, end_ms, min(limit, MAX_TRADES))
        symbol_market = self._market.of(listing.symbol)
        shown = [
            trade_json(trade, listing.symbol, symbol_market.listing.decimals) for trade in trades
        ]
        bar = symbol_market.open_bar(Timeframe.M1, call.now_ms)
        bid, ask = ("", "") if bar is None else (bar.close - 1, bar.close + 1)
        decimals = symbol_market.listing.decimals
        best = {"best_bid": bid and short(bid, decimals), "best_ask": ask and short(ask, decimals)}
        return as_json({"trades": shown, **best})

    def _trades(
        self, listing: Listing, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Trade]:
        return newest_trades(self._market.of(listing.symbol), start_ms or 0, end_ms, limit)

    def _product(self, listing: Listing, now_ms: int) -> dict:
        symbol_market = self._market.of(listing.symbol)
        tick = short(1, symbol_market.listing.decimals)
        lot = short(symbol_market.listing.lot, VOLUME_DECIMALS)
        others = [one.symbol for one in self._listed() if one.alias == listing.symbol]
        status = self._market.status(listing.symbol)
        return {
            "product_id": listing.symbol,
            **_day(symbol_market.listing, symbol_market.day_before(now_ms)),
            "base_increment": lot,
            "quote_increment": tick,
            "price_increment": tick,
            "base_min_size": lot,
            "base_max_size": "9000000",
            "quote_min_size": "1",
            "quote_max_size": "150000000",
            "base_name": listing.base,
            "quote_name": listing.quote,
            "watched": False,
            "is_disabled": status in ENDED,
            "new": False,
            "status": "delisted" if status in ENDED else "online",
            "cancel_only": status == CANCEL_ONLY,
            "limit_only": False,
            "post_only": False,
            "trading_disabled": status != TRADING,
            "auction_mode": False,
            "product_type": "SPOT",
            "quote_currency_id": listing.quote,
            "base_currency_id": listing.base,
            "fcm_trading_session_details": None,
            "mid_market_price": "",
            "alias": listing.alias,
            "alias_to": others,
            "base_display_symbol": listing.base,
            "quote_display_symbol": listing.quote,
            "view_only": False,
            "display_name": listing.symbol,
            "product_venue": "CBE",
        }


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


def _day(listing: Listing, bar) -> dict[str, str]:
    """Return the last 24 hours as a product tells them, empty before the listing."""
    if bar is None:
        values = ("", "", "", "")
    else:
        change = (bar.close - bar.open) / bar.open * 100
        quote = bar.quote // 10**listing.decimals
        values = (
            short(bar.close, listing.decimals),
            f"{change:.14f}",
            short(bar.volume, VOLUME_DECIMALS),
            short(quote // 10**6, 2),
        )
    names = (
        "price",
        "price_percentage_change_24h",
        "volume_24h",
        "approximate_quote_24h_volume",
    )
    return dict(zip(names, values, strict=True))
