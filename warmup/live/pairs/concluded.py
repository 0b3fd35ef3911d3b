"""Bars that no frame marked as closed, held against REST once in a while."""

from collections.abc import Iterable, Sequence
from math import isclose

from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.reply import Candles
from exchanges.stream.events import Revised
from livermore.market.candle import Candle
from livermore.market.coverage import intersect
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache

M1 = Timeframe.M1
# Of the exchange's time: between two looks at a symbol, each a call, and before the first one.
CHECK_MS, FIRST_CHECK_MS = 3_600_000, 600_000
ROUNDING = 1e-9
AT_ONCE = 5  # symbols in a round, so that other calls come between


class ConcludedBars:
    """Compares minutes that were concluded from what came, and from silence, with REST's.

    Longer bars are made of them. One thread calls it.
    """

    def __init__(self, cache: CandleCache):
        self._cache = cache
        self._checked_ms: dict[str, int] = {}  # up to when each symbol was compared
        self._due_ms: dict[str, int] = {}

    def due(self, symbols: Iterable[str], now_ms: int) -> list[str]:
        """Return whose turn it is, who waits longest first; one that is new has to wait."""
        for symbol in symbols:
            if symbol not in self._due_ms:
                self._due_ms[symbol] = now_ms + FIRST_CHECK_MS
                self._checked_ms[symbol] = M1.floor(now_ms) - CHECK_MS
        found = [each for each in symbols if self._due_ms[each] <= now_ms]
        return sorted(found, key=self._due_ms.__getitem__)[:AT_ONCE]

    def compare(self, rest: VenueRest, symbols: Sequence[str], now_ms: int) -> list[Revised]:
        """Return from when on bars of these are other ones over REST than they were told.

        Raises what REST raises; then it is their turn still.
        """
        found = []
        for symbol in symbols:
            until_ms = M1.floor(now_ms - max(rest.lag_ms, rest.settle_ms))
            stretch = (self._checked_ms[symbol], until_ms)
            answer = rest.get_candles(symbol, M1, *stretch, lane=Lane.BACKFILL)
            first_ms = self._first_other(symbol, answer)
            if first_ms is not None:
                found.append(Revised(symbol, first_ms))
            self._checked_ms[symbol] = max(until_ms, self._checked_ms[symbol])
            self._due_ms[symbol] = now_ms + CHECK_MS
        return found

    def _first_other(self, symbol: str, answer: Candles) -> int | None:
        """Return when the first bar opened of which both are sure, and that is not the same."""
        if not answer:
            return None
        start_ms, end_ms = answer[0].timestamp, answer[-1].close_time_ms
        # Read before the candles: what is written meanwhile is not compared.
        sure = intersect(answer.covered, self._cache.coverage(symbol, M1))
        kept = {each.timestamp: each for each in self._cache.between(symbol, M1, start_ms, end_ms)}
        for told in answer:
            bar = ((told.timestamp, told.close_time_ms),)
            if intersect(bar, sure) == bar and not _are_same(told, kept.get(told.timestamp)):
                return told.timestamp
        return None


def _are_same(told: Candle, kept: Candle | None) -> bool:
    """Tell whether two are one bar: frames may round what REST writes out."""
    return kept is not None and all(
        isclose(a, b, rel_tol=ROUNDING) for a, b in zip(told.values(), kept.values(), strict=True)
    )
