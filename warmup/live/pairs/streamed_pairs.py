"""The pairs of one exchange's stream: their bars, how far they are stored, what they lack."""

from collections.abc import Iterable, Iterator, Sequence

from livermore.market.candle import Candle
from livermore.market.coverage import oldest_told_ms
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.live.bars import Bars
from warmup.live.pairs.rollup import Rollup
from warmup.live.pairs.set_aside import AsidePairs
from warmup.live.pairs.skipped import Skipped

FAILURES_UNTIL_DOUBT = 2


class StreamedPairs:
    """What is known of each pair. One thread changes it, any may ask.

    `bars` are of those that are loaded, `unloaded` those that are to be; `stored_until` is before
    which time the bars of each are stored and told; `rollups` are of each symbol.
    """

    def __init__(
        self,
        cache: CandleCache,
        rolls_up_from: Timeframe | None,
        depth_rows: int | None = None,
        has_a_row: bool = False,
    ):
        """Longer candles are made of those of `rolls_up_from`; None where all are streamed.

        REST tells of the newest `depth_rows` bars, None for all. Each bar `has_a_row` where those
        without trades have one, too.
        """
        self.rolls_up_from = rolls_up_from
        self._depth_rows = depth_rows
        self._has_a_row = has_a_row
        self.bars: dict[Pair, Bars] = {}
        self.unloaded: set[Pair] = set()
        self.stored_until: dict[Pair, int] = {}
        self.rollups: dict[str, Rollup] = {}
        self.skipped = Skipped(cache, self.earliest_ms)
        self.aside = AsidePairs(cache)
        self.next_due_ms = 0  # before that no bar is overdue

    def earliest_ms(self, timeframe: Timeframe, now_ms: int) -> int:
        """Return when the oldest bar opened that is kept and can still be asked for."""
        kept_ms = timeframe.floor(now_ms) - CANDLES_KEPT * timeframe.ms
        return max(kept_ms, oldest_told_ms(timeframe, now_ms, self._depth_rows))

    def roll_up(self, symbol: str, closed: Sequence[Candle], complete_from_ms: int) -> None:
        """Make longer candles of a symbol's `closed` ones, all from some time on, oldest first."""
        assert self.rolls_up_from
        self.rollups[symbol] = Rollup(self.rolls_up_from, closed, complete_from_ms, self._has_a_row)

    def of_symbol(self, symbol: str) -> Iterator[tuple[Pair, Bars]]:
        """Yield those of a symbol that are loaded, with their bars."""
        for timeframe in Timeframe:
            pair = Pair(symbol, timeframe)
            if bars := self.bars.get(pair):
                yield pair, bars

    def disconnected(self, pairs: Iterable[Pair]) -> None:
        """Learn that these are not streamed any more."""
        for pair in pairs:
            self.unloaded.discard(pair)
            if pair in self.bars:
                self.bars[pair].streamed = False

    def take_back(self, now: float) -> None:
        """Load those again that are set aside no longer."""
        for pair in self.aside.take_back(now):
            bars = self.bars.pop(pair, None)
            if bars and bars.streamed:
                self.unloaded.add(pair)

    def forget(self, pair: Pair) -> None:
        del self.bars[pair]
        self.stored_until.pop(pair, None)
        self.skipped.forget(pair)
        self.aside.forget(pair)

    # -- what others ask

    def follow(self, pairs: Iterable[Pair]) -> bool:
        """Tell whether all of these are streamed, and what was stored of them is known."""
        return all(pair in self.bars and self.bars[pair].streamed for pair in pairs)

    def lacking(self, now_ms: int, is_away: bool) -> int:
        """Return how many lack a bar that should have closed by now; `is_away` is of REST."""
        return sum(
            bars.asked
            or bars.holds_back
            or pair in self.skipped.by_pair
            or bool(is_away and bars.overdue(now_ms))
            for pair, bars in list(self.bars.items())
        )

    def asked(self) -> int:
        """Return of how many an answer of REST is awaited."""
        return sum(bars.asked for bars in list(self.bars.values()))

    def unanswered(self) -> set[str]:
        """Return the symbols of which REST had no news at several tries: have they ended?"""
        return {
            pair.symbol
            for pair, bars in list(self.bars.items())
            if bars.streamed and bars.failures >= FAILURES_UNTIL_DOUBT
        }

    def waiting(self) -> list[Pair]:
        """Return those of which REST, asked for the newest bar, does not know it yet."""
        return [pair for pair, bars in list(self.bars.items()) if bars.is_waiting]
