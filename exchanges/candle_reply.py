"""From the rows of an exchange's answer to candles that can be trusted."""

from collections.abc import Callable, Iterable
from typing import Any

from exchanges.errors import clip
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, Interval, subtract, union
from livermore.market.timeframe import Timeframe

Row = Any
Values = tuple[float, float, float, float, float, Timeframe]  # open to volume, then whose


class Candles(list[Candle]):
    """Closed candles of one pair, oldest first, and what else the answer said.

    `open_candle` is the bar that was still open, None if the answer held none. `refused` has a
    line for each row that was no usable candle. `covered` are the stretches of which these
    candles are all that the exchange has. `runs_ahead`: a row opened later than it is now.
    """

    def __init__(self, candles: Iterable[Candle] = ()):
        super().__init__(candles)
        self.open_candle: Candle | None = None
        self.refused: list[str] = []
        self.covered: Coverage = ()
        self.runs_ahead = False


class CandleReply:
    """Collects the rows of one or more pages of an answer, oldest first within a page.

    Rows that cannot be candles, lie outside of what was asked for, come twice or out of order are
    refused and counted. After any such row only the times of the usable ones count as covered: the
    row may have stood in the place of another, so what is missing will be asked for again.
    """

    def __init__(
        self,
        timeframe: Timeframe,
        open_time: Callable[[Row], int],
        values: Callable[[Row, Timeframe], Values],
    ):
        self._timeframe = timeframe
        self._open_time = open_time
        self._values = values
        self._candles: dict[int, Candle] = {}
        self._distrusted: list[Interval] = []
        self._refused: list[str] = []

    def times(self) -> list[int]:
        """Return the open times of the usable rows so far, ascending."""
        return sorted(self._candles)

    def distrust(self, start_ms: int, end_ms: int) -> None:
        """Leave `[start_ms, end_ms)` uncovered: the exchange may have more to say of it."""
        self._distrusted.append((start_ms, end_ms))

    def add_page(self, rows: Iterable[Row], start_ms: int, last_ms: int) -> None:
        """Take the rows of a page, oldest first, that was to open in `[start_ms, last_ms]`."""
        newest = 0
        for row in rows:
            try:
                candle = Candle(self._open_time(row), *self._values(row, self._timeframe))
            except (ValueError, TypeError, LookupError, OverflowError) as error:
                self._refuse(row, str(error))
                continue
            time = candle.timestamp
            if not start_ms <= time <= last_ms:
                self._refuse(row, "outside of what was asked for")
            elif time > newest:
                newest = time
                self._candles[time] = candle
            else:
                self._refuse(row, "out of order, or comes twice")
                if candle != self._candles.get(time):  # which of the two is right?
                    self.distrust(time, candle.close_time_ms)

    def result(self, start_ms: int, end_ms: int, now_ms: int) -> Candles:
        """Return the candles that opened in `[start_ms, end_ms)`, all of them closed.

        The open one is the newest that opened in the bar of `now_ms` or later.
        """
        current_ms = self._timeframe.floor(now_ms)
        runs_ahead = any(time > now_ms for time in self._candles)
        for time in self.times():
            if time > now_ms + self._timeframe.ms:
                self._refuse(self._candles.pop(time), "opens in the future")
        times = self.times()
        found = Candles(self._candles[time] for time in times if start_ms <= time < end_ms)
        if times and times[-1] >= current_ms:
            found.open_candle = self._candles[times[-1]]
        found.runs_ahead = runs_ahead
        found.refused = self._refused
        if self._refused:
            whole = union((candle.timestamp, candle.close_time_ms) for candle in found)
        else:
            whole = union([(start_ms, end_ms)])
        found.covered = subtract(whole, self._distrusted)
        return found

    def _refuse(self, row: Row, reason: str) -> None:
        self._refused.append(f"{clip(reason)}: {clip(str(row))}")


def number(text: str) -> float:
    """Return what an exchange wrote as a decimal string; anything else is refused."""
    if type(text) is not str or "_" in text:
        raise TypeError(f"not a decimal string: {text!r}")
    return float(text)
