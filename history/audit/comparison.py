"""Candles that are kept beside those that are told: which differ, and by how much. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from history.audit.sampling import Window
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage

SIX = 6  # numbers of a row without columns
# Prices at two exchanges are within some hundredths of a percent of each other when markets are
# quiet, and apart by tenths when they are not. A candle of another symbol, time or unit is further.
TOLERANCE = 0.01

Row = Sequence[int | float]


class Differing(NamedTuple):
    """A bar that is kept otherwise than it is told; None: there is none."""

    window: Window
    time_ms: int
    kept: Row | None
    told: Row | None

    def as_json(self) -> dict[str, Any]:
        """Return what is stored, and programs read."""
        return {
            "source": self.window.source,
            "symbol": self.window.pair.symbol,
            "timeframe": self.window.pair.timeframe,
            "timestamp": self.time_ms,
            "kept": self.kept and list(self.kept),
            "told": self.told and list(self.told),
        }


class Compared(NamedTuple):
    """What came of a window: how many bars could be compared, which differ, how many could not."""

    bars: int
    differing: list[Differing]
    unknown: int


def compare(
    window: Window, kept: Sequence[Row], covered: Coverage, told: Sequence[Candle], proven: Coverage
) -> Compared:
    """Compare exactly. `covered` is of what the kept rows are all, `proven` of what those told are.

    A bar that both lack agrees where both are sure; one that only one has differs where the other
    is sure that there is none.
    """
    mine = {int(row[0]): row for row in kept}
    theirs = {candle.timestamp: candle.row() for candle in told}
    count, unknown, differing = 0, 0, []
    for time_ms in range(window.start_ms, window.end_ms, window.pair.timeframe.ms):
        own, other = mine.get(time_ms), theirs.get(time_ms)
        known = own is not None or _holds(covered, time_ms)
        if not known:
            continue  # it was forgotten since it was chosen
        if other is None and not _holds(proven, time_ms):
            unknown += 1
            continue
        count += 1
        if not _same(own, other):
            differing.append(Differing(window, time_ms, own, other))
    return Compared(count, differing, unknown)


def _same(own: Row | None, other: Row | None) -> bool:
    if own is None or other is None:
        return own is other
    both = min(len(own), len(other))  # the one may lack the four columns
    return list(own[:SIX]) == list(other[:SIX]) and list(own[:both]) == list(other[:both])


def _holds(coverage: Coverage, time_ms: int) -> bool:
    return any(start <= time_ms < end for start, end in coverage)


def beyond(kept: Sequence[Row], told: Sequence[Candle]) -> tuple[int, list[int]]:
    """Return how many bars another exchange has too, and the times of those that are far off.

    One is far off where its open or its close lies outside of the other's range from low to high,
    widened by `TOLERANCE`. Volumes are not compared, nor bars in which one of the two is quiet.
    """
    theirs: Mapping[int, Candle] = {candle.timestamp: candle for candle in told}
    both = [(row, theirs[int(row[0])]) for row in kept if int(row[0]) in theirs]
    return len(both), list(_far_off(both))


def _far_off(both: Sequence[tuple[Row, Candle]]) -> Iterator[int]:
    for row, candle in both:
        least, most = candle.low * (1 - TOLERANCE), candle.high * (1 + TOLERANCE)
        if not (least <= row[1] <= most and least <= row[4] <= most):
            yield int(row[0])
