"""From the rows of an exchange's answer to candles that can be trusted."""

from collections.abc import Callable, Iterable
from typing import Any

from exchanges.errors import clip
from livermore.market.candle import Candle, check_time
from livermore.market.coverage import Coverage, Interval, subtract, union
from livermore.market.timeframe import Timeframe

Row = Any
Values = tuple[float, float, float, float, float]  # open, high, low, close, volume


class Candles(list[Candle]):
    """Closed candles of one pair, oldest first, and what else the answer said.

    `open_candle` is the bar that was still open, None if the answer held none. `refused` has a
    line for each row that was no usable candle. `covered` are the stretches of which these
    candles are all that the exchange has.
    """

    def __init__(self, candles: Iterable[Candle] = ()):
        super().__init__(candles)
        self.open_candle: Candle | None = None
        self.refused: list[str] = []
        self.covered: Coverage = ()


class CandleReply:
    """Collects the rows of one or more pages of an answer, oldest first within a page.

    Rows that cannot be candles, come twice or out of order are refused and counted; the time
    that such a row spoke of stays uncovered, so it will be asked for again.
    """

    def __init__(
        self, timeframe: Timeframe, open_time: Callable[[Row], int], values: Callable[[Row], Values]
    ):
        self._timeframe = timeframe
        self._open_time = open_time
        self._values = values
        self._candles: dict[int, Candle] = {}
        self._unknown: list[Interval] = []
        self._misplaced = False
        self.refused: list[str] = []

    def times(self) -> list[int]:
        """Return the open times of the usable rows so far, ascending."""
        return sorted(self._candles)

    def distrust(self, start_ms: int, end_ms: int) -> None:
        """Leave `[start_ms, end_ms)` uncovered: the exchange may have more to say of it."""
        self._unknown.append((start_ms, end_ms))

    def add_page(self, rows: Iterable[Row]) -> None:
        """Take the rows of a page, oldest first."""
        newest = 0
        for row in rows:
            candle = self._read(row)
            if not candle:
                continue
            if candle.timestamp > newest:
                newest = candle.timestamp
                self._candles[newest] = candle
            elif candle != self._candles.get(candle.timestamp):
                self._refuse(row, "out of order", candle.timestamp)
            else:
                self.refused.append(f"comes twice: {clip(str(row))}")

    def result(self, start_ms: int, end_ms: int) -> Candles:
        """Return the candles that opened in `[start_ms, end_ms)`, all of them closed by now; of
        those that opened later the newest is the open one.
        """
        times = self.times()
        found = Candles(self._candles[time] for time in times if start_ms <= time < end_ms)
        if times and times[-1] >= end_ms:
            found.open_candle = self._candles[times[-1]]
        found.refused = self.refused
        if self._misplaced:
            whole = union((candle.timestamp, candle.close_time_ms) for candle in found)
        else:
            whole = union([(start_ms, end_ms)])
        found.covered = subtract(whole, self._unknown)
        return found

    def _read(self, row: Row) -> Candle | None:
        time = None
        try:
            time = self._open_time(row)
            return Candle(time, *self._values(row), self._timeframe)
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            self._refuse(row, str(error), time)
            return None

    def _refuse(self, row: Row, reason: str, time: int | None) -> None:
        self.refused.append(f"{clip(reason)}: {clip(str(row))}")
        try:
            check_time(time)
        except ValueError:
            self._misplaced = True
        else:
            opened = self._timeframe.floor(time)
            self._unknown.append((opened, opened + self._timeframe.ms))
