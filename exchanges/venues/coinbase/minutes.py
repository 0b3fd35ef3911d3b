"""One-minute candles from trades, and only where every trade of the minute was seen."""

from decimal import Decimal
from math import inf

from exchanges.stream.events import CandleUpdate, Quiet, Traded
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe

M1 = Timeframe.M1
MOST_OVERLAP = 10_000  # ids; a snapshot holds a hundred trades
MOST_BACK_MS = 10 * M1.ms


class MinuteBuilder:
    """Builds the minutes of one symbol from its trades, whose ids have no gaps.

    A minute counts from its first trade on, known by the id before it having been seen in an
    earlier minute. Where an id is missing, the minute and the one after it are left to REST.
    Volumes are added as decimals, so that they equal the exchange's own.

    Of minutes that it can't build it tells that something was traded, and where two trades whose
    ids follow upon each other lie apart that nothing was traded in between.
    """

    def __init__(self, symbol: str):
        self._symbol = symbol
        self._last_id: int | None = None
        self._last_ms = 0
        self._minute_ms = 0
        self._whole = False
        self._open = self._high = self._low = self._close = 0.0
        self._volume = Decimal(0)

    def add(
        self, trade_id: int, time_ms: int, price: float, size: Decimal
    ) -> list[CandleUpdate | Traded | Quiet]:
        """Take the next trade, by id; return the minute it closed, and the one it belongs to."""
        if not 0 < price < inf:
            raise ValueError(f"not a price: {price}")
        if self._contradicts(trade_id, time_ms):
            self._last_id, self._minute_ms, self._whole = None, 0, False
        if self._last_id is not None and trade_id <= self._last_id:
            return []  # the snapshot and the updates overlap
        unbroken = self._last_id is not None and trade_id == self._last_id + 1
        before_ms, self._last_ms = self._last_ms, time_ms
        self._last_id = trade_id
        minute_ms = M1.floor(time_ms)
        found: list[CandleUpdate | Traded | Quiet] = []
        if minute_ms > self._minute_ms:
            # Only a trade that follows at once shows that the minute before lost none at its end.
            if self._whole and unbroken:
                found.append(CandleUpdate(self._symbol, self._candle(), closed=True))
            self._begin(minute_ms, price, size, whole=unbroken)
        elif minute_ms == self._minute_ms:
            self._extend(price, size, unbroken)
        else:  # an id that rises while the time goes back a minute: which bar was right?
            self._whole = False
        if unbroken and time_ms - before_ms > M1.ms:
            found.append(Quiet(self._symbol, before_ms + 1, time_ms))
        if self._whole:
            found.append(CandleUpdate(self._symbol, self._candle(), closed=False))
        else:
            found.append(Traded(self._symbol, time_ms))
        return found

    def _contradicts(self, trade_id: int, time_ms: int) -> bool:
        """Tell whether it can't be of one sequence with the last one, so that one of them is wrong.

        Else a single id or time that is far ahead would outlast all that follow.
        """
        if self._last_id is None:
            return False
        if trade_id > self._last_id:
            return time_ms < self._last_ms - MOST_BACK_MS
        return trade_id < self._last_id - MOST_OVERLAP

    def _begin(self, minute_ms: int, price: float, size: Decimal, whole: bool) -> None:
        self._minute_ms, self._whole = minute_ms, whole
        self._open = self._high = self._low = self._close = price
        self._volume = size

    def _extend(self, price: float, size: Decimal, unbroken: bool) -> None:
        self._whole = self._whole and unbroken
        self._high, self._low = max(self._high, price), min(self._low, price)
        self._close = price
        self._volume += size

    def _candle(self) -> Candle:
        prices = (self._open, self._high, self._low, self._close)
        return Candle(self._minute_ms, *prices, float(self._volume), M1)
