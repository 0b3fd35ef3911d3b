"""One symbol's market as time passes: the bars that closed, the open ones, the trades since."""

from exchanges.sandbox.market.bars import Bar, Trade, join
from exchanges.sandbox.market.symbol import SymbolMarket
from livermore.market.timeframe import MINUTE_MS, SHORTEST_FIRST, Timeframe

_M1 = Timeframe.M1
_LONGEST_LEAP_MS = Timeframe.D1.ms


class OpenBars:
    """Follow one symbol's market from one moment to the next.

    The same numbers as asking the market each time, but an open day costs no more than its newest
    minute: what came before that is added up once a minute.
    """

    def __init__(self, symbol_market: SymbolMarket):
        self.symbol_market = symbol_market
        self.at_ms = 0
        self.minute: Bar | None = None  # the open minute; None before the listing
        self._minute_ms = 0
        self._before: dict[Timeframe, Bar | None] = {}
        self._day_key: tuple[int, int] | None = None
        self._day_before: Bar | None = None

    @property
    def next_id(self) -> int:
        """The id that the next trade will have, 0 before the listing."""
        return self.minute.first_id + self.minute.trades if self.minute else 0

    def jump_to(self, now_ms: int) -> None:
        """Go to `now_ms` without looking at what lies between."""
        self.at_ms, self._minute_ms = now_ms, _M1.floor(now_ms)
        self._before = {
            timeframe: self._since(timeframe.floor(now_ms)) for timeframe in SHORTEST_FIRST
        }
        self.minute = self.symbol_market.open_bar(_M1, now_ms)

    def advance_to(self, now_ms: int) -> list[tuple[Timeframe, Bar]]:
        """Go to `now_ms` and return the bars that closed on the way, in the order they did.

        Back in time, or further than a day ahead, it only jumps.
        """
        if not self.at_ms <= now_ms <= self.at_ms + _LONGEST_LEAP_MS:
            self.jump_to(now_ms)
            return []
        closed: list[tuple[Timeframe, Bar]] = []
        while self._minute_ms + MINUTE_MS <= now_ms:
            closed += self._end_minute()
        self.at_ms = now_ms
        self.minute = self.symbol_market.open_bar(_M1, now_ms)
        return closed

    def bar(self, timeframe: Timeframe) -> Bar | None:
        """Return the open bar as of `at_ms`."""
        before, minute = self._before[timeframe], self.minute
        if before is None or minute is None:
            return minute and minute._replace(open_ms=timeframe.floor(self.at_ms))
        return join([before, minute], before.open_ms)

    def day(self) -> Bar | None:
        """Return the last 24 hours, as `SymbolMarket.day_before` does."""
        start_ms = max(_M1.ceil(self.at_ms - Timeframe.D1.ms), self.symbol_market.listing.listed_ms)
        if self.minute is None:
            return None
        if self._day_key != (start_ms, self._minute_ms):
            self._day_key = (start_ms, self._minute_ms)
            self._day_before = self.symbol_market.span(start_ms, start_ms, self._minute_ms)
        if self._day_before is None:
            return self.minute
        return join([self._day_before, self.minute], start_ms)

    def trades(self, from_id: int, from_ms: int) -> list[Trade]:
        """Return the trades up to now with `from_id` and later, none of them before `from_ms`."""
        minutes = range(_M1.floor(from_ms), self.at_ms + 1, MINUTE_MS)
        return [
            trade
            for minute_ms in minutes
            for trade in self.symbol_market.trades(minute_ms)
            if trade.id >= from_id and trade.time_ms <= self.at_ms
        ]

    def _end_minute(self) -> list[tuple[Timeframe, Bar]]:
        minutes = self.symbol_market.bars(_M1, self._minute_ms, self._minute_ms + 1)
        self._minute_ms += MINUTE_MS
        closed = []
        for timeframe in SHORTEST_FIRST if minutes else ():
            before = self._before[timeframe]
            open_ms = timeframe.floor(self._minute_ms - 1)
            whole = join([before, minutes[0]], open_ms) if before else minutes[0]
            if self._minute_ms % timeframe.ms:
                self._before[timeframe] = whole._replace(open_ms=open_ms)
            else:
                self._before[timeframe] = None
                closed.append((timeframe, whole._replace(open_ms=open_ms)))
        return closed

    def _since(self, open_ms: int) -> Bar | None:
        start_ms = max(open_ms, self.symbol_market.listing.listed_ms)
        return self.symbol_market.span(open_ms, start_ms, self._minute_ms)
