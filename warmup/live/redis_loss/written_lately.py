"""What a runner wrote of an exchange lately: kept in memory, as Redis may lose the last of it."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from livermore.market.coverage import Coverage
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT
from warmup.live.bars import EVER, LATE, SKIPPED, Close

CLOSES_REMEMBERED = 20_000


class WrittenClose(NamedTuple):
    """A close that Redis said it has; `event_id` is "" where no event told it."""

    event_id: str
    pair: Pair
    close: Close

    @property
    def has_rows(self) -> bool:
        """Tell whether it is all that there is of the stretch that it covers."""
        return self.close.candle is not None or self.close.how not in (LATE, SKIPPED)


class WrittenLately:
    """The newest closes of one exchange's runner, with their ids; they outlive the runner.

    `until` is up to when each pair was told, `skipped` what was not told before that. Everything
    told of a pair from `whole_from` on is remembered. `epoch` is the largest that its holder knows
    of. One thread at a time calls it.
    """

    def __init__(self):
        self.closes: deque[WrittenClose] = deque()
        self.until: dict[Pair, int] = {}
        self.whole_from: dict[Pair, int] = {}
        self.skipped: Mapping[Pair, Coverage] = {}
        self.newest_id = ""
        self.epoch = 0

    def earliest(self, pair: Pair) -> int:
        """Return from when on candles of a pair are kept."""
        return self.until.get(pair, EVER) - CANDLES_KEPT * pair.timeframe.ms

    def begin(self, points: Mapping[Pair, int]) -> None:
        """Learn from when on pairs are told; what is remembered counts where it ends there."""
        anew = {pair for pair, next_ms in points.items() if self.until.get(pair) != next_ms}
        self.forget(anew)
        for pair in anew:
            self.until[pair] = self.whole_from[pair] = points[pair]

    def forget(self, pairs: Iterable[Pair]) -> None:
        gone = {pair for pair in pairs if self.until.pop(pair, None) is not None}
        for pair in gone:
            del self.whole_from[pair]
        if gone:
            self.closes = deque(each for each in self.closes if each.pair not in gone)

    def add(self, written: Iterable[WrittenClose]) -> None:
        """Learn what was written just now, in order."""
        for each in written:
            if each.pair not in self.until:
                continue
            self.closes.append(each)
            if each.close.how not in ("", LATE):
                self.until[each.pair] = max(self.until[each.pair], each.close.covered[1])
        while len(self.closes) > CLOSES_REMEMBERED:
            gone = self.closes.popleft()
            if gone.event_id:
                end_ms = gone.close.covered[1]
                self.whole_from[gone.pair] = max(self.whole_from[gone.pair], end_ms)


def order_of(event_id: str) -> tuple[int, int]:
    """Return what orders the ids of a stream; "" comes before all."""
    milliseconds, _, number = (event_id or "0").partition("-")
    return int(milliseconds), int(number or 0)
