"""The venues, a folder each. A new one is its folder here and its name in one line below.

docs/adding-a-venue.md says what a folder holds.
"""

from exchanges.venue import Venue
from exchanges.venues import binance, coinbase

VENUES: dict[str, Venue] = {each.VENUE.name: each.VENUE for each in (binance, coinbase)}


def choices() -> list[tuple[str, str]]:
    """Return the name and the label of each venue, for the field of a row."""
    return [(venue.name, venue.label) for venue in VENUES.values()]
