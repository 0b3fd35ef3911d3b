"""Bring an exchange's symbols up to date with the listing it gives now."""

from contextlib import closing

from exchanges import venues
from exchanges.listing import SyncReport, sync_symbols
from exchanges.models import Exchange


def fetch_listing(exchange: Exchange) -> SyncReport:
    """Ask the exchange what it lists and keep that; raises what the exchange or Redis says."""
    with closing(venues.open_rest(exchange)) as rest:
        return sync_symbols(exchange, rest.list_symbols())
