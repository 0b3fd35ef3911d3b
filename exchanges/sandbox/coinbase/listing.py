"""What Coinbase lists, and what it tells of each product."""

from exchanges.sandbox.coinbase.errors import not_found
from exchanges.sandbox.coinbase.settings import NAME
from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS
from exchanges.sandbox.market.decimals import short
from exchanges.sandbox.market.listings import BREAK, CANCEL_ONLY, GONE, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply, as_json, whole_number

ENDED = (BREAK, GONE)
ROWS = ListingRows(
    "products", "base_currency_id", "quote_currency_id", halted={"trading_disabled": True}
)


class Products:
    """Products by their ids, which are the symbols."""

    def __init__(self, market: Market):
        self._market = market

    def listing(self, product_id: str) -> Listing:
        """Return a product; one that a scenario took away is refused like one that never was."""
        listing = self._market.listings.get(product_id)
        if listing and listing.is_on(NAME) and self._market.status(product_id) != GONE:
            return listing
        raise not_found(product_id)

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
        return [one for one in list(self._market.listings.values()) if one.is_on(NAME)]

    def one(self, call: Call) -> Reply:
        return as_json(self._product(self.listing(call.segment), call.now_ms))

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
