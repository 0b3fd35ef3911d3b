"""What REST says around the borders of months, each asked once, however many want to know."""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from history import parquet
from livermore.market.coverage import Interval
from livermore.market.pair import Pair

if TYPE_CHECKING:
    import pyarrow

KEPT = 8  # answers that only one month wanted so far


class Edge(NamedTuple):
    """What REST says around a time, and its candles as a table."""

    answer: Candles
    table: "pyarrow.Table"


class Edges:
    """Asks REST for as many bars around a time as one call brings, half of them on each side.

    Nothing is asked outside of `within`. Threads may share it.
    """

    def __init__(self, rest: VenueRest, within: Interval):
        self._rest = rest
        self._within = within
        self._asked: OrderedDict[tuple[Pair, int], Future[Edge]] = OrderedDict()
        self._lock = threading.Lock()

    def around(self, pair: Pair, border_ms: int) -> tuple[Edge, bool]:
        """Return what REST has around a time, and whether this is the first who wants it.

        Two months meet there, so after the second it is forgotten; of those that nobody wanted
        again the oldest are. Raises as REST does.
        """
        with self._lock:
            known = self._asked.pop((pair, border_ms), None)
            asked: Future[Edge] = known or Future()
            if known is None:
                self._asked[pair, border_ms] = asked
                if len(self._asked) > KEPT:
                    self._asked.popitem(last=False)
        if known is None:
            try:
                asked.set_result(self._ask(pair, border_ms))
            except BaseException as error:
                asked.set_exception(error)
        return asked.result(), known is None

    def _ask(self, pair: Pair, border_ms: int) -> Edge:
        half_ms = self._rest.candles_per_call // 2 * pair.timeframe.ms
        start_ms, end_ms = self._within
        answer = self._rest.get_candles(
            *pair,
            max(start_ms, border_ms - half_ms),
            min(end_ms, border_ms + half_ms),
            lane=Lane.BACKFILL,
        )
        return Edge(answer, parquet.table_of([each.row() for each in answer]))
