"""All sources there are, as the evaluator asks them."""

from alerts.events.absent import Absent
from alerts.events.agents import Agents
from alerts.events.candles import Candles
from alerts.events.digest import Digest
from alerts.events.exchanges import Exchanges
from alerts.events.holders import Holders
from alerts.events.rows import Rows
from alerts.events.server import Server
from alerts.events.source import Source
from alerts.signals.source import Signals


def all_sources() -> list[Source]:
    """Return a new one of each: what they remember between looks is theirs."""
    return [
        *(Server(), Agents(), Holders(), Exchanges()),
        *(Candles(), Rows(), Absent(), Signals(), Digest()),
    ]
