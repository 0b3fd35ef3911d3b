"""Bring an exchange's symbols up to date with the listing it gives now.

An exchange may send a broken listing: an answer by which more than half of what trades, or of what
is monitored, trades no more is asked for again, and only what both answers say is believed. Of many
symbols that takes as long as whoever asks can wait.
"""

import logging
from collections.abc import Callable
from contextlib import closing

from exchanges import adapters
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from exchanges.symbols.listed import ListedSymbol, Listing
from exchanges.symbols.listing import SyncReport, sync_symbols

logger = logging.getLogger(__name__)

SECONDS_UNTIL_SURE = 5.0
FEW = 2


def fetch_listing(
    exchange: Exchange, on_open: Callable[[VenueRest], object] = lambda rest: None
) -> SyncReport:
    """Ask the exchange what it lists and keep that; raises what the exchange or Redis says.

    `on_open` is given the client before it is used.
    """
    with closing(adapters.open_rest(exchange)) as rest:
        on_open(rest)
        return check_listing(exchange, rest, SECONDS_UNTIL_SURE)


def check_listing(
    exchange: Exchange, rest: VenueRest, seconds_until_sure_of_many: float
) -> SyncReport:
    """Do the same over a client that is open."""
    listed = rest.list_symbols()
    if lost := doubt(exchange, listed):
        what, count, of = lost
        seconds = SECONDS_UNTIL_SURE if count <= FEW else seconds_until_sure_of_many
        logger.warning(
            "listing.doubted exchange=%s %s=%d of %d seconds=%.0f",
            *(exchange.name, what, count, of, seconds),
        )
        rest.client.pacer.sleep(seconds)
        listed = agreed(listed, rest.list_symbols())
    return sync_symbols(exchange, listed)


def doubt(exchange: Exchange, listed: list[ListedSymbol]) -> tuple[str, int, int] | None:
    """Return of what how many of how many would trade no more; None where that can be."""
    known = {item.symbol for item in listed if item.is_trading is not False}
    stored = dict(exchange.symbols.trading().values_list("symbol", "is_monitored"))
    monitored = [symbol for symbol, is_monitored in stored.items() if is_monitored]
    for name, symbols in (("monitored", monitored), ("trading", stored)):
        lost = sum(symbol not in known for symbol in symbols)
        if 2 * lost > len(symbols):
            return name, lost, len(symbols)
    return None


def agreed(first: list[ListedSymbol], second: list[ListedSymbol]) -> list[ListedSymbol]:
    """Return what both listings say: what trades by either of them trades."""
    trading = {item.symbol: item for item in first if item.is_trading}
    found = [item if item.is_trading else trading.pop(item.symbol, item) for item in second]
    names = {item.symbol for item in found}
    found += [item for symbol, item in trading.items() if symbol not in names]
    return Listing(found, getattr(second, "refused", ()))
