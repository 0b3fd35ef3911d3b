"""The venues, a folder each. A new one is its folder here and its line in `FOLDERS`.

docs/adding-a-venue.md says what a folder holds.
"""

from importlib import import_module

from exchanges.venue import Venue

FOLDERS = (
    "binance",
    "binance_usdm",
    "bybit",
    "coinbase",
    "kraken",
    "okx",
)


def venue_in(folder: str) -> Venue:
    """Return what the folder of that name says of its venue."""
    return import_module(f"{__name__}.{folder}").VENUE


VENUES: dict[str, Venue] = {venue.name: venue for venue in map(venue_in, FOLDERS)}


def choices() -> list[tuple[str, str]]:
    """Return the name and the label of each venue, for the field of a row."""
    return [(venue.name, venue.label) for venue in VENUES.values()]
