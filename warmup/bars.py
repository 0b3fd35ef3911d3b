"""When a bar is final: the rules that turn what a stream says into closes, each once and in order.

Pure: it is told what came and what time it is, and returns what is to be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval
from livermore.market.timeframe import Timeframe

RETRY_MS, LONGEST_RETRY_MS = 5_000, 300_000
GRACE_MS = 5_000  # how long after its end a bar may wait for the stream to close it


@dataclass(frozen=True, slots=True)
class Close:
    """A bar that became final, or where `candle` is None a stretch known to hold none.

    `covered` is the stretch that is complete with it; `healed` where it came over REST.
    """

    candle: Candle | None
    covered: Interval
    healed: bool


@dataclass(slots=True)
class Bars:
    """One pair of a stream: everything before `next_ms` is final and was told.

    The next bar closes when the exchange says so. Where that doesn't come (the frame was lost, the
    market is quiet, the connection was down) the answer of REST decides, and what closed meanwhile
    waits for it, so that closes are never told out of order or twice.
    """

    timeframe: Timeframe
    next_ms: int
    streamed: bool = False
    asked: bool = False  # REST was asked, and has not answered yet
    retry_at_ms: int = 0
    failures: int = 0
    _ahead: dict[int, Candle] = field(default_factory=dict)

    def update(self, candle: Candle, closed: bool) -> list[Close]:
        """Take a candle from the stream; return the closes that follow, in order."""
        if not closed or candle.timestamp < self.next_ms:
            return []
        self._ahead[candle.timestamp] = candle
        return self._in_turn()

    def is_live(self, candle: Candle) -> bool:
        """Return whether an open candle of the stream is news."""
        return candle.timestamp >= self.next_ms and candle.timestamp not in self._ahead

    def overdue(self, now_ms: int, grace_ms: int = GRACE_MS) -> Interval | None:
        """Return the stretch to ask REST for, None where nothing is or it was asked already."""
        due_ms = self.next_ms + self.timeframe.ms + grace_ms
        if not self.streamed or self.asked or now_ms < max(due_ms, self.retry_at_ms):
            return None
        return (self.next_ms, self.timeframe.floor(now_ms - grace_ms))

    def healed(self, candles: Sequence[Candle], covered: Coverage) -> list[Close]:
        """Take what REST knows, oldest first; return the closes that follow, in order."""
        self.asked = False
        until_ms = next((end for start, end in covered if start <= self.next_ms < end), 0)
        closes = []
        # What the stream closed stays, where REST doesn't know of it.
        known = {time: (candle, False) for time, candle in self._ahead.items()}
        known |= {candle.timestamp: (candle, True) for candle in candles}
        for time in sorted(known):
            if self.next_ms <= time < until_ms:
                candle, healed = known[time]
                closes.append(self._close(candle, healed))
        if self.next_ms < until_ms:
            closes.append(Close(None, (self.next_ms, until_ms), True))
            self.next_ms = until_ms
        self._ahead = {time: each for time, each in self._ahead.items() if time >= self.next_ms}
        return closes + self._in_turn()

    def failed(self, now_ms: int) -> None:
        """Learn that REST had no news; it is asked again later, and later each time."""
        self.asked = False
        self.retry_at_ms = now_ms + min(RETRY_MS * 2**self.failures, LONGEST_RETRY_MS)
        self.failures = min(self.failures + 1, 16)

    def reconnected(self) -> None:
        """Learn that it is streamed from now on; REST may be asked at once."""
        self.streamed = True
        self.failures = self.retry_at_ms = 0

    def skip_to(self, earliest_ms: int) -> None:
        """Leave alone what closed before `earliest_ms`: it would not be kept."""
        if self.next_ms < earliest_ms:
            self.next_ms = earliest_ms

    def take_back(self, from_ms: int) -> None:
        """Learn that what closed from `from_ms` on was not stored: it has to be healed."""
        self.next_ms = min(self.next_ms, from_ms)
        self._ahead.clear()

    def _in_turn(self) -> list[Close]:
        closes = []
        while candle := self._ahead.pop(self.next_ms, None):
            closes.append(self._close(candle, healed=False))
        return closes

    def _close(self, candle: Candle, healed: bool) -> Close:
        self.failures = 0
        covered = (self.next_ms, candle.close_time_ms)
        self.next_ms = candle.close_time_ms
        return Close(candle, covered, healed)
