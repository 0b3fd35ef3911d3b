"""What Binance's USD-M futures list: perpetuals, and much that is none.

Whatever is asked for, exchangeInfo tells all of it, with a time that is a day and a half old.
"""

from exchanges.sandbox.binance.listing import native_name
from exchanges.sandbox.binance_usdm.settings import NAME
from exchanges.sandbox.faults.listings import ListingRows
from exchanges.sandbox.market.bars import VOLUME_DECIMALS
from exchanges.sandbox.market.decimals import eight
from exchanges.sandbox.market.listings import GONE, PERP, PERPETUAL, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.calls import Call, Reply, as_json
from livermore.market.timeframe import Timeframe

SETTLING, CLOSE = "SETTLING", "CLOSE"
PERPETUALS = "PERPETUAL"
BEHIND_MS = 37 * Timeframe.H1.ms  # of the time that exchangeInfo tells
NEVER_MS = 4_133_404_800_000  # when a perpetual is delivered

# Symbol, contract, base, what it is of, status: none of it has candles here.
OTHERS = (
    ("BTCUSDT_261225", "CURRENT_QUARTER", "BTC", "COIN", TRADING),
    ("ETHUSDT_270326", "NEXT_QUARTER", "ETH", "COIN", TRADING),
    ("TSLAUSDT", "TRADIFI_PERPETUAL", "TSLA", "EQUITY", TRADING),
    ("XAUUSDT", "TRADIFI_PERPETUAL", "XAU", "COMMODITY", TRADING),
    ("FRESHUSDT", "", "FRESH", "COIN", "PENDING_TRADING"),
)


def _ending(row: dict) -> str:
    return PERP if row["contractType"] == PERPETUALS else f"-{row['contractType']}"


ROWS = ListingRows(
    "symbols", "baseAsset", "quoteAsset", halted={"status": SETTLING}, ending=_ending
)


class Listed:
    """The market's perpetuals by their native names; it looks for new ones each time."""

    def __init__(self, market: Market):
        self._market = market

    def all(self) -> list[Listing]:
        return [one for one in list(self._market.listings.values()) if one.is_on(NAME, PERPETUAL)]

    def find(self, native: str | None) -> Listing | None:
        """Return the perpetual of that name, ended or not."""
        return next((one for one in self.all() if native_name(one) == native), None)


class ExchangeInfo:
    """Answers exchangeInfo."""

    def __init__(self, market: Market, listed: Listed, weight_limit: int):
        self._market, self._listed = market, listed
        self._limits = [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, weight_limit),
            _limit("ORDERS", "MINUTE", 1, 1200),
            _limit("ORDERS", "SECOND", 10, 300),
        ]

    def answer(self, call: Call) -> Reply:
        rows = [self._perpetual(one) for one in self._listed.all()]
        rows += [
            _row(name, contract, base, "USDT", of, status)
            for name, contract, base, of, status in OTHERS
        ]
        return as_json(
            {
                "timezone": "UTC",
                "serverTime": call.now_ms - BEHIND_MS,
                "futuresType": "U_MARGINED",
                "rateLimits": self._limits,
                "exchangeFilters": [],
                "assets": [{"asset": "USDT", "marginAvailable": True}],
                "symbols": rows,
            }
        )

    def _perpetual(self, listing: Listing) -> dict:
        status = self._market.status(listing.symbol)
        if status == GONE:
            status = CLOSE if listing.status != GONE else SETTLING
        elif status != TRADING:
            status = SETTLING
        row = _row(native_name(listing), PERPETUALS, listing.base, listing.quote, "COIN", status)
        tick, step = eight(1, listing.decimals), eight(listing.lot, VOLUME_DECIMALS)
        row["filters"] = [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "stepSize": step},
        ]
        return row


def _row(name: str, contract: str, base: str, quote: str, of: str, status: str) -> dict:
    return {
        "symbol": name,
        "pair": name.partition("_")[0],
        "contractType": contract,
        "deliveryDate": NEVER_MS,
        "onboardDate": 1_569_398_400_000,
        "status": status,
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": of,
        "underlyingSubType": [],
        "filters": [],
        "orderTypes": ["LIMIT", "MARKET", "STOP"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _limit(kind: str, interval: str, count: int, limit: int) -> dict:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}
