"""History as an audit looks at it: where there is none it looks at the cache alone."""

from contextlib import suppress

from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from history import parquet
from history.models import PairHistory
from history.places.place import configured_place
from history.store.store import HistoryStore


def store_of(exchange: Exchange) -> HistoryStore | None:
    """Return the exchange's history, None where there is none or it can't be read here."""
    if not PairHistory.objects.filter(exchange=exchange).exists():
        return None
    with suppress(LivermoreError):
        parquet.library()
        return HistoryStore(configured_place(), exchange)
    return None
