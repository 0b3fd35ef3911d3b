"""What Binance lists, under which names, and what exchangeInfo tells of it."""

from exchanges.sandbox.binance.limits import published_limits
from exchanges.sandbox.binance.settings import NAME, BinanceSettings
from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS
from exchanges.sandbox.market.decimals import eight
from exchanges.sandbox.market.listings import BREAK, GONE, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply, as_json
from exchanges.venues.binance.server.errors import (
    BAD_COMBINATION,
    BAD_SYMBOL,
    OTHER_STATUS,
    ApiError,
)
from exchanges.venues.binance.server.parameters import Parameters

ROWS = ListingRows("symbols", "baseAsset", "quoteAsset", halted={"status": BREAK})


def native_name(listing: Listing) -> str:
    return listing.base + listing.quote


class Listed:
    """The market's symbols by Binance's names; it looks for new ones each time."""

    def __init__(self, market: Market):
        self._market = market
        self._names: dict[str, Listing] = {}
        self._seen = 0  # how many of the market's listings were looked at

    def find(self, native: str | None) -> Listing | None:
        """Return the symbol of that name, taken off the list or not."""
        return self._known().get(native or "")

    def chosen(self, names: list[str] | None) -> list[Listing]:
        """Return those of these names, all for None. Raises ApiError for one that is not listed."""
        listed = {
            native: listing
            for native, listing in self._known().items()
            if self._market.status(listing.symbol) != GONE
        }
        if names is None:
            return list(listed.values())
        if any(name not in listed for name in names):
            raise ApiError(*BAD_SYMBOL)
        return [listed[name] for name in names]

    def of_status(
        self, names: list[str] | None, status: str | None, *, is_one: bool
    ) -> list[Listing]:
        """Return those of these names that have a status; ApiError where `is_one` has another."""
        chosen = self.chosen(names)
        found = [one for one in chosen if status in (None, self._market.status(one.symbol))]
        if is_one and not found:
            raise ApiError(*OTHER_STATUS)
        return found

    def _known(self) -> dict[str, Listing]:
        if len(self._market.listings) > self._seen:
            listings = list(self._market.listings.values())
            new = [one for one in listings[self._seen :] if one.is_on(NAME)]
            self._names |= {native_name(one): one for one in new}
            self._seen = len(listings)
        return self._names


class ExchangeInfo:
    """Answers exchangeInfo."""

    def __init__(self, market: Market, listed: Listed, settings: BinanceSettings):
        self._market, self._listed = market, listed
        self._limits = published_limits(settings)

    def answer(self, call: Call) -> Reply:
        sent = Parameters(call.params)
        names = sent.symbols()
        permissions = sent.optional("permissions")
        show_sets = sent.optional("showPermissionSets") != "false"
        status = sent.status()
        sent.finish()
        if names is not None and (permissions or status):
            raise ApiError(*BAD_COMBINATION)
        told = [(one, self._market.status(one.symbol)) for one in self._listed.chosen(names)]
        return as_json(
            {
                "timezone": "UTC",
                "serverTime": call.now_ms,
                "rateLimits": self._limits,
                "exchangeFilters": [],
                "symbols": [
                    _symbol_info(listing, told_status, show_sets)
                    for listing, told_status in told
                    if status in (None, told_status)
                ],
            }
        )


def _symbol_info(listing: Listing, status: str, show_sets: bool) -> dict:
    tick = eight(1, listing.decimals)
    step = eight(listing.lot, VOLUME_DECIMALS)
    info = {
        "symbol": native_name(listing),
        "status": status,
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": step,
                "maxQty": "9000000.00000000",
                "stepSize": step,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]] if show_sets else [],
    }
    if status != TRADING:
        info["orderTypes"] = []
    return info
