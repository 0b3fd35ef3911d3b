"""REST sides of exchanges that are kept between calls: a new one has to ask for the time first."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import close_old_connections

from exchanges.adapters import open_rest
from exchanges.errors import UnknownSymbol
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest

Result = TypeVar("Result")

KEPT_SECONDS = 60.0  # in which its account, and what it lists, may have changed


class RestClients:
    """Keeps one of each exchange, which threads share."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[dict[str, Any], float, VenueRest]] = {}  # row, since when
        self._making = threading.Lock()

    def call(self, exchange_id: int, work: Callable[[VenueRest], Result]) -> Result:
        """Return what `work` returns; it is done again with a new one where its symbol is new.

        Raises what it raises, and ObjectDoesNotExist where the exchange is gone.
        """
        close_old_connections()
        rest, is_new = self._of(exchange_id)
        try:
            return work(rest)
        except UnknownSymbol:
            if is_new:
                raise
            with self._making:
                self._kept.pop(exchange_id, None)
            return work(self._of(exchange_id)[0])

    def _of(self, exchange_id: int) -> tuple[VenueRest, bool]:
        """Return an exchange's, by its row as it is now, and whether it was made for this."""
        row = Exchange.objects.get(pk=exchange_id)
        values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        with self._making:
            known, since, rest = self._kept.get(exchange_id, (None, 0.0, None))
            if rest and known == values and time.monotonic() < since + KEPT_SECONDS:
                return rest, False
            rest = open_rest(row)  # who uses the other one goes on with it
            self._kept[exchange_id] = values, time.monotonic(), rest
            return rest, True
