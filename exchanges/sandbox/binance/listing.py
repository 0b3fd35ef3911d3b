"""Binance's listings, clock and tickers."""

from exchanges.sandbox.binance.errors import BAD_SYMBOL, Parameters, refuse
from exchanges.sandbox.market.decimals import eight
from exchanges.sandbox.market.listings import GONE, TRADING, Listing
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.market.symbol import VOLUME_DECIMALS, Bar
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json
from exchanges.sandbox.server.config import SandboxConfig
from livermore.market.timeframe import Timeframe

DAY_MS = Timeframe.D1.ms


class MarketData:
    """Everything but candles."""

    def __init__(self, market: Market, config: SandboxConfig):
        self._market = market
        self._limits = [
            _limit("REQUEST_WEIGHT", 1, config.weight_limit),
            _limit("RAW_REQUESTS", 5, config.raw_limit),
        ]

    def time(self, call: Call) -> Reply:
        return as_json({"serverTime": call.now_ms})

    def exchange_info(self, call: Call) -> Reply:
        sent = Parameters(call.params)
        names = sent.symbols()
        sent.optional("permissions")
        show_sets = sent.optional("showPermissionSets") != "false"
        status = sent.optional("symbolStatus")
        sent.finish()
        told = [(one, self._market.status(one.symbol)) for one in self._chosen(names)]
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

    def day(self, call: Call) -> Reply:
        sent = Parameters(call.params)
        names, kind = sent.symbols(), sent.optional("type")
        sent.finish()
        tickers = [self._ticker(one, call.now_ms, kind == "MINI") for one in self._chosen(names)]
        return _one_or_all(call, [ticker for ticker in tickers if ticker])

    def day_weight(self, call: Call) -> int:
        count = _symbols_asked(call)
        if count is None or count > 100:
            return 80
        return 2 if count <= 20 else 40

    def price(self, call: Call) -> Reply:
        sent = Parameters(call.params)
        names = sent.symbols()
        sent.finish()
        prices = [
            {"symbol": listing.native, "price": eight(bar.close, listing.decimals)}
            for listing in self._chosen(names)
            if (bar := self._bar(listing, call.now_ms))
        ]
        return _one_or_all(call, prices)

    def price_weight(self, call: Call) -> int:
        return 2 if "symbol" in call.params else 4

    def _chosen(self, names: list[str] | None) -> list[Listing]:
        listed = {
            native: listing
            for native, listing in list(self._market.natives.items())
            if self._market.status(listing.symbol) != GONE
        }
        if names is None:
            return list(listed.values())
        if any(name not in listed for name in names):
            raise refuse(*BAD_SYMBOL)
        return [listed[name] for name in names]

    def _bar(self, listing: Listing, now_ms: int) -> Bar | None:
        return self._market.of(listing.symbol).open_bar(Timeframe.M1, now_ms)

    def _ticker(self, listing: Listing, now_ms: int, mini: bool) -> dict | None:
        bar = self._market.of(listing.symbol).day_before(now_ms)
        return bar and day_ticker(listing, bar, now_ms, mini)


def _limit(kind: str, minutes: int, limit: int) -> dict:
    return {
        "rateLimitType": kind,
        "interval": "MINUTE",
        "intervalNum": minutes,
        "limit": limit,
    }


def _symbol_info(listing: Listing, status: str, show_sets: bool) -> dict:
    tick = eight(1, listing.decimals)
    step = eight(listing.lot, VOLUME_DECIMALS)
    info = {
        "symbol": listing.native,
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


def day_ticker(listing: Listing, bar: Bar, now_ms: int, mini: bool) -> dict:
    """Write 24 hours in one bar as REST does; `mini` is the shorter form."""

    def price(ticks: int) -> str:
        return eight(ticks, listing.decimals)

    quote = bar.quote // 10**listing.decimals
    ticker = {
        "symbol": listing.native,
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
        "bidPrice": price(bar.close - 1),
        "bidQty": lot,
        "askPrice": price(bar.close + 1),
        "askQty": lot,
    }


def _symbols_asked(call: Call) -> int | None:
    """Count the symbols of a call, leniently: its weight is due even if it is then refused."""
    try:
        names = Parameters(call.params).symbols()
    except Refusal:
        return 1
    return None if names is None else len(names)


def _one_or_all(call: Call, entries: list[dict]) -> Reply:
    return as_json(entries[0] if "symbol" in call.params and entries else entries)
