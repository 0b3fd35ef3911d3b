"""From an exchange's row to what takes its bulk files."""

from exchanges.adapters import downloads_of, venue_of
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from history.archives.source import ArchiveSource
from history.archives.taking import ArchiveTaking
from livermore.market.coverage import Interval


def open_archives(
    exchange: Exchange, rest: VenueRest, stretch: Interval, *, always: bool
) -> ArchiveTaking | None:
    """Return what takes an exchange's bulk files, None where it has none; `close()` it when done.

    The other arguments are those of `ArchiveTaking`.
    """
    archive, downloads = venue_of(exchange).archive, downloads_of(exchange)
    if archive is None or downloads is None:
        return None
    source = ArchiveSource(archive, downloads)
    return ArchiveTaking(source, rest, market_names(exchange), stretch, always=always)


def market_names(exchange: Exchange) -> dict[str, str]:
    """Return by which names a venue's files are found: two symbols may share a native one."""
    market_name = venue_of(exchange).rest.market_name
    rows = exchange.symbols.values_list("symbol", "native_symbol", "kind")
    return {symbol: market_name(native, kind) for symbol, native, kind in rows}
