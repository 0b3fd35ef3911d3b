"""exchangeInfo of an exchange that speaks another protocol: what is known of its symbols."""

from collections.abc import Iterable

from exchanges.symbols.listed import SPOT
from serving.directory import ServedSymbol

TRADING, BREAK = "TRADING", "BREAK"


def status_of(symbol: ServedSymbol) -> str:
    return TRADING if symbol.is_trading else BREAK


def exchange_info(symbols: Iterable[ServedSymbol], time: int, *, shows_sets: bool) -> dict:
    """Return the answer. It has no filters: how small a step may be nobody here knows."""
    return {
        "timezone": "UTC",
        "serverTime": time,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [_described(each, shows_sets) for each in symbols],
    }


def _described(symbol: ServedSymbol, shows_sets: bool) -> dict:
    """Return what is known of a symbol; of a perpetual also what tells programs that it is one."""
    is_spot = symbol.kind == SPOT
    perpetual = {"contractType": "PERPETUAL", "marginAsset": symbol.quote}
    return {
        "symbol": symbol.word,
        "status": status_of(symbol),
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": [],
        "icebergAllowed": False,
        "isSpotTradingAllowed": is_spot and symbol.is_trading,
        "isMarginTradingAllowed": False,
        "filters": [],
        "permissions": [],
        "permissionSets": [["SPOT"]] if shows_sets and is_spot else [],
        **({} if is_spot else perpetual),
    }
