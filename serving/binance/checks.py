"""What each request that is passed on may say, so that a wrong one is refused here (rest-api.md).

The words are the exchange's own: it is asked for what it can answer alone.
"""

from collections.abc import Callable

from exchanges.venues.binance.server.errors import (
    BAD_COMBINATION,
    BAD_TICKER_TYPE,
    ApiError,
)
from exchanges.venues.binance.server.parameters import WORD, Parameters

KINDS = ("FULL", "MINI")  # of a ticker


def ticker_kind(sent: Parameters) -> str:
    """Return what `type` asks for."""
    kind = sent.optional("type") or KINDS[0]
    if kind not in KINDS:
        raise ApiError(*BAD_TICKER_TYPE)
    return kind


def exchange_info(sent: Parameters) -> tuple[list[str] | None, str | None, bool, str | None]:
    """Return symbols, permissions, whether sets of those are shown, and a status."""
    names, permissions = sent.symbols(), sent.optional("permissions")
    shows_sets = sent.optional("showPermissionSets") != "false"
    status = sent.status()
    sent.finish()
    if names is not None and (permissions or status):
        raise ApiError(*BAD_COMBINATION)
    return names, permissions, shows_sets, status


def _exchange_info(sent: Parameters) -> None:
    exchange_info(sent)


def _depth(sent: Parameters) -> None:
    sent.symbol()
    sent.count("limit", 1)
    sent.status()


def _trades(sent: Parameters) -> None:
    sent.symbol()
    sent.count("limit", 1)


def _old_trades(sent: Parameters) -> None:
    _trades(sent)
    sent.number("fromId")


def _block_trades(sent: Parameters) -> None:
    _trades(sent)
    sent.number("fromId", mandatory=True)


def _aggregate_trades(sent: Parameters) -> None:
    _old_trades(sent)
    sent.time("startTime")
    sent.time("endTime")


def _one_symbol(sent: Parameters) -> None:
    sent.symbol()


def _symbol_of_status(sent: Parameters) -> None:
    sent.symbol()
    sent.status()


def _symbols_of_status(sent: Parameters) -> None:
    sent.symbols()
    sent.status()


def _day(sent: Parameters) -> None:
    _symbols_of_status(sent)
    ticker_kind(sent)


def _named(sent: Parameters) -> None:
    """Read symbols that have to be named."""
    if sent.symbols() is None:
        text = "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"
        raise ApiError(-1102, text)
    sent.status()
    ticker_kind(sent)


def _trading_day(sent: Parameters) -> None:
    _named(sent)
    sent.zone("timeZone")


def _rolling(sent: Parameters) -> None:
    _named(sent)
    sent.optional("windowSize", WORD)


def _rules(sent: Parameters) -> None:
    if sent.symbols() is not None and sent.status():
        raise ApiError(*BAD_COMBINATION)
    sent.status()


CHECKS: dict[str, Callable[[Parameters], None]] = {
    "exchangeInfo": _exchange_info,
    "executionRules": _rules,
    "depth": _depth,
    "trades": _trades,
    "historicalTrades": _old_trades,
    "historicalBlockTrades": _block_trades,
    "aggTrades": _aggregate_trades,
    "avgPrice": _one_symbol,
    "referencePrice": _one_symbol,
    "referencePrice/calculation": _symbol_of_status,
    "ticker": _rolling,
    "ticker/24hr": _day,
    "ticker/tradingDay": _trading_day,
    "ticker/bookTicker": _symbols_of_status,
}
