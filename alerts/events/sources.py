"""All sources there are, as the evaluator asks them."""

from alerts.events.candles import Candles
from alerts.events.server import Server
from alerts.events.source import Source


def all_sources() -> list[Source]:
    """Return a new one of each: what they remember between looks is theirs."""
    return [Server(), Candles()]
