"""exchangeInfo of an exchange that speaks another protocol: what is known of its symbols."""

from collections.abc import Iterable

from serving.directory import ServedSymbol

TRADING, BREAK = "TRADING", "BREAK"


def exchange_info(symbols: Iterable[ServedSymbol], now_ms: int) -> dict:
    """Return the answer. It has no filters: how small a step may be nobody here knows."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [_described(each) for each in symbols],
    }


def _described(symbol: ServedSymbol) -> dict:
    return {
        "symbol": symbol.word,
        "status": TRADING if symbol.is_trading else BREAK,
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": [],
        "icebergAllowed": False,
        "isSpotTradingAllowed": symbol.is_trading,
        "isMarginTradingAllowed": False,
        "filters": [],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }
