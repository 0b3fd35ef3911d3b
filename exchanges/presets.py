"""Exchanges that are known from the start, and which of their symbols to begin with.

The rows come from a migration, so that it happens once: what a person later changes or deletes
stays so. A change of a preset therefore reaches new installations only; `default_symbols` are read
at the first sync of an exchange, and the limits of answers whenever it is called.
"""

from exchanges.rest.response_limits import ResponseLimits
from exchanges.venue import Preset
from exchanges.venues import VENUES


def presets() -> dict[str, Preset]:
    """Return the presets of all venues by their name."""
    return {preset.name: preset for venue in VENUES.values() for preset in venue.presets}


def answer_limits(name: str, venue: str) -> ResponseLimits:
    """Return the most that an answer of an exchange may be, of one that somebody added too."""
    preset = presets().get(name)
    return (preset and preset.answers) or VENUES[venue].answers
