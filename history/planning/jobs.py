"""What REST is asked for: stretches of pairs, cut and joined so that calls are few. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exchanges.rest.base import Known
from livermore.market.coverage import Coverage, Interval, intersect, subtract, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import Stretches, second_looks, withheld


@dataclass(frozen=True, slots=True)
class Job:
    """A stretch of a pair that is asked for at once, half-open."""

    symbol: str
    timeframe: Timeframe
    start_ms: int
    end_ms: int
    known: Known  # which rows exist beside it

    @property
    def pair(self) -> Pair:
        return Pair(self.symbol, self.timeframe)

    @property
    def periods(self) -> int:
        return (self.end_ms - self.start_ms) // self.timeframe.ms


def together(wanted: Coverage, longest_ms: int, left_alone: Coverage) -> Coverage:
    """Return stretches that hold all that is wanted, those joined that one call reaches.

    What lies between is asked for once more; nothing that is to be left alone is.
    """
    found: list[Interval] = []
    for start_ms, end_ms in wanted:
        if found and end_ms - found[-1][0] <= longest_ms:
            between = ((found[-1][1], start_ms),)
            if not intersect(between, left_alone):
                found[-1] = found[-1][0], end_ms
                continue
        found.append((start_ms, end_ms))
    return tuple(found)


def due(lacking: Coverage, open_still: Stretches, within: Interval, now_ms: int) -> Coverage:
    """Return what of a stretch is to be asked for now.

    That is what is lacking, but for what was asked for lately in vain; and what is known by one
    answer alone, as where an exchange leaves out bars without a trade, once a second one counts.
    """
    looks = intersect(second_looks(open_still, now_ms), (within,))
    later = ((each.start_ms, each.end_ms) for each in open_still if each.due_ms() > now_ms)
    return subtract(union([*lacking, *looks]), (*withheld(open_still, now_ms), *later))


class BarCount:
    """How many bars are done, and how many there are to do at the most.

    Days tell when a symbol began, so that what is before that is counted until then.
    """

    def __init__(self, timeframes: Sequence[Timeframe], wanted: Callable[[Timeframe], int]):
        self._wanted = wanted
        self._left = {each: wanted(each) for each in timeframes}
        self.done = 0
        self.total = sum(self._left.values())

    def begin(self, timeframe: Timeframe) -> None:
        """Count what is left anew, as a timeframe begins."""
        for each in self._left:
            self._left[each] = self._wanted(each)
        self.done = min(self.done, self.total)
        self.total = self.done + sum(self._left.values())
