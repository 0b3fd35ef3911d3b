"""What the cache holds of one pair, as it is stored and as it is understood."""

from dataclasses import dataclass
from typing import NamedTuple

from livermore.market.coverage import Coverage, union
from warmup.cache.encoding import read_coverage
from warmup.cache.unconfirmed import Stretches, told_empty


@dataclass(frozen=True, slots=True)
class PairState:
    """What the cache holds of one pair: how many candles, from when, and what is known complete.

    `oldest` is an open time in ms, None where there is no candle. `unconfirmed` is what the
    exchange has to tell again. `aside` says, where the pair is set aside, why, as
    SetAside takes it.
    """

    count: int
    oldest: int | None
    coverage: Coverage
    unconfirmed: Stretches = ()
    aside: str = ""

    @property
    def asked(self) -> Coverage:
        """Return of which stretches the exchange told all it had when it was asked."""
        return union([*self.coverage, *told_empty(self.unconfirmed)])


class PairSummary(NamedTuple):
    """What the cache holds of one pair, as it is stored: cheap to compare with what was there.

    `oldest` and `newest` are open times in ms, None where there is no candle. `aside` says, where
    the pair is set aside, why, as SetAside takes it: nothing of it can be read then. `name` is
    that of the coverage's key.
    """

    count: int  # type: ignore[assignment]  # it hides tuple.count, which nobody needs here
    oldest: int | None
    newest: int | None
    coverage: bytes | None
    aside: str = ""
    name: str = ""

    @property
    def known(self) -> Coverage:
        """Return the coverage as it is stored, whether there are candles or not."""
        return read_coverage(self.coverage, self.name)

    def state(self, unconfirmed: Stretches = ()) -> PairState:
        """Return the same, understood, with what is `unconfirmed` of it."""
        # Coverage of no candle at all is what is left where somebody deleted them, or Redis
        # evicted them: it is not believed.
        coverage = read_coverage(self.coverage, self.name) if self.count else ()
        return PairState(self.count, self.oldest, coverage, unconfirmed, self.aside)
