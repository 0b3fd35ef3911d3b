"""Prices that somebody has drawn over a symbol's walk, minute by minute."""

from collections.abc import Mapping
from typing import NamedTuple

from exchanges.sandbox.market.bars import Bar, Trade, join
from exchanges.sandbox.market.walk import Walk
from livermore.market.timeframe import MINUTE_MS, Timeframe

M1 = Timeframe.M1


class Drawn(NamedTuple):
    """What a minute begins with and ends with, in ticks."""

    first: int
    last: int


class DrawnWalk:
    """A walk with the prices of some minutes drawn over; when it trades and how much stays.

    In such a minute the first trade is at the price it begins with, where there are several, all
    others at the one it ends with. So a minute's range is from one to the other.
    """

    def __init__(self, walk: Walk, drawn: Mapping[int, Drawn]):
        """`drawn` is by the minutes' open times."""
        self.drawn = dict(drawn)
        self.walk = walk
        self._from_ms, self._until_ms = min(drawn), max(drawn) + MINUTE_MS

    def bars(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> list[Bar]:
        """Return the bars that open in [start_ms, end_ms), as they are once complete."""
        return [
            self.span(bar.open_ms, bar.open_ms, bar.open_ms + timeframe.ms) or bar
            if bar.open_ms < self._until_ms and bar.open_ms + timeframe.ms > self._from_ms
            else bar
            for bar in self.walk.bars(timeframe, start_ms, end_ms)
        ]

    def trades(self, minute_ms: int) -> list[Trade]:
        """Return the trades of the minute that opens at `minute_ms`, in the order they happened."""
        trades, drawn = self.walk.trades(minute_ms), self.drawn.get(minute_ms)
        if drawn is None:
            return trades
        several = len(trades) > 1
        return [
            trade._replace(price=drawn.first if several and not at else drawn.last)
            for at, trade in enumerate(trades)
        ]

    def span(self, open_ms: int, start_ms: int, end_ms: int) -> Bar | None:
        """Aggregate the trades in [start_ms, end_ms), or return None where that is empty."""
        parts: list[Bar | None] = []
        at_ms = start_ms
        while at_ms < end_ms:
            if at_ms in self.drawn:
                until_ms = min(at_ms + MINUTE_MS, end_ms)
                parts.append(self._minute(at_ms, until_ms))
            else:
                later = [each for each in self.drawn if at_ms < each < end_ms]
                until_ms = min(later, default=end_ms)
                parts.append(self.walk.span(at_ms, at_ms, until_ms))
            at_ms = until_ms
        found = [each for each in parts if each]
        return join(found, open_ms) if found else None

    def _minute(self, minute_ms: int, until_ms: int) -> Bar | None:
        """Return a drawn minute up to a time; without a trade it stands where it began."""
        walked = self.walk.span(minute_ms, minute_ms, until_ms)
        if walked is None:
            return None
        trades = [each for each in self.trades(minute_ms) if each.time_ms < until_ms]
        prices = [each.price for each in trades] or [self.drawn[minute_ms].first]
        quotes = [each.price * each.size for each in trades]
        paid = [each.price * each.size for each in trades if each.buyer_took]
        return walked._replace(
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            quote=sum(quotes),
            paid=sum(paid),
        )
