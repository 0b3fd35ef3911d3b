"""What the newest trades of a product prove of bars that ended a short time ago. Pure.

Candles of this exchange may come minutes late, its trades within two seconds, and the ids of those
have no gaps: so they tell which bars nothing was traded in, and whether a row lacks anything.
"""

from collections.abc import Sequence
from decimal import Decimal
from math import isclose
from typing import Any, NamedTuple

from exchanges.errors import BadPayload, clip
from exchanges.rest.reply import Candles, number, whole
from exchanges.venues.coinbase.texts import UNREADABLE, decimal, read_time_ms
from livermore.market.candle import Candle, check_time
from livermore.market.coverage import Coverage, intersect, subtract, union
from livermore.market.timeframe import Timeframe

MOST_TRADES = 100  # of one answer
LATE_MS = 5_000  # how late a trade may be told
ORDER_MS = 1_000  # of two trades in a row the later one may say that it was so much earlier


class Trade(NamedTuple):
    """One trade; `time_ms` is when it was made."""

    trade_id: int
    time_ms: int
    price: float
    size: Decimal


class NewestTrades:
    """The newest trades of a product, oldest first and none left out, as asked for at a time."""

    def __init__(self, trades: Sequence[Trade], asked_ms: int):
        self._trades = trades
        # Before the oldest one there may be others, of the same moment too.
        self.from_ms = trades[0].time_ms + ORDER_MS if trades else asked_ms
        self.until_ms = asked_ms - LATE_MS

    def reach(self, start_ms: int, end_ms: int) -> bool:
        """Tell whether these are all trades of a stretch, half-open."""
        return self.from_ms <= start_ms and end_ms <= self.until_ms

    def within(self, start_ms: int, end_ms: int) -> list[Trade]:
        return [each for each in self._trades if start_ms <= each.time_ms < end_ms]

    def prove(self, found: Candles, timeframe: Timeframe, asked_ms: int, lag_ms: int) -> None:
        """Take for proven what of an answer was not: bars without a trade, and a row that is whole.

        The answer was asked for at `asked_ms`, and has all that was traded `lag_ms` before.
        """
        young, refused = found.young, [each[:2] for each in found.refusals]
        bars = ((timeframe.ceil(self.from_ms), timeframe.floor(self.until_ms)),)
        unproven = subtract(found.asked, [*found.covered, *refused])
        traded = [_bar(each.time_ms, timeframe) for each in self._trades]
        if young:
            traded.append((young.timestamp, young.close_time_ms))
        proven: Coverage = subtract(intersect(unproven, bars), traded)
        if young and self._is_whole(young, asked_ms - lag_ms):
            found.append(young)
            found.young = None
            proven = union([*proven, (young.timestamp, young.close_time_ms)])
        found.covered = union([*found.covered, *proven])

    def _is_whole(self, candle: Candle, told_until_ms: int) -> bool:
        """Tell whether a row has all trades of its bar: it equals them, or none came too late."""
        start_ms, end_ms = candle.timestamp, candle.close_time_ms
        if self.reach(start_ms, end_ms):
            return _equals(candle, self.within(start_ms, end_ms))
        late_ms = max(start_ms, told_until_ms)
        return self.reach(late_ms, end_ms) and not self.within(late_ms, end_ms)


def read_trades(body: Any, native: str, asked_ms: int) -> NewestTrades:
    """Return the trades of an answer; where one is missing, those that came after it."""
    try:
        rows = sorted((_read(row, native) for row in body["trades"]), reverse=True)
    except UNREADABLE as error:
        raise BadPayload(f"the trades are not in Coinbase's form ({clip(str(error))})") from error
    newest: list[Trade] = []
    for trade in rows:
        if newest and trade.trade_id != newest[-1].trade_id - 1:
            break
        newest.append(trade)
    return NewestTrades(newest[::-1], asked_ms)


def _read(row: Any, native: str) -> Trade:
    if row["product_id"] != native:
        raise ValueError("another product")
    price = number(row["price"])
    if not 0 < price < float("inf"):
        raise ValueError("not a price")
    made_ms = check_time(read_time_ms(row["time"]))
    return Trade(whole(row["trade_id"]), made_ms, price, decimal(row["size"]))


def _bar(time_ms: int, timeframe: Timeframe) -> tuple[int, int]:
    opened = timeframe.floor(time_ms)
    return opened, opened + timeframe.ms


def _equals(candle: Candle, trades: Sequence[Trade]) -> bool:
    """Tell whether a candle is what some trades make up."""
    if not trades:
        return False
    prices = [each.price for each in trades]
    volume = float(sum(each.size for each in trades))
    made = (prices[0], max(prices), min(prices), prices[-1], volume)
    told = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return all(isclose(one, other, rel_tol=1e-9) for one, other in zip(made, told, strict=True))
