"""Prices that are drawn by hand into the sandbox: flat, then a drop, then flat again."""

from array import array
from collections.abc import Callable, Sequence
from itertools import chain

from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.patterns import MINUTES, Pattern, merge, shape_of
from exchanges.sandbox.market.walk import DAY_MS, Walk, _Day
from livermore.market.timeframe import MINUTE_MS, Timeframe

SYMBOL = "DRAWN-USD"
DRAWN = Listing(SYMBOL, "100.000")  # before; an offset is a tick
FLAT = (0, 500, -500, 0)  # a minute's trades, in ticks from the price that it stands at
DROP = (0, -10_500, -10_000, -10_000)
DROPS_BY = -10_000
TRADES = len(FLAT)
LOTS = (1, 2, 1, 2)
TIMES_MS = (100, 15_000, 30_000, 45_000)
NEVER_MS = 1 << 62


class Drop(Walk):
    """A symbol that stands at 100, each bar one wide, until the minute of `drop_ms`; then at 90.

    That minute goes from 100 to 89.5 and closes at 90.
    """

    def __init__(self, seed: int, listing: Listing):
        super().__init__(seed, listing, listing.symbol)
        self._scale = 1
        self._flat = _pattern(lambda minute: FLAT)
        self._dropping = self._flat
        self.drop_ms = NEVER_MS

    def drop(self, drop_ms: int) -> None:
        """Drop in a minute that is still to come."""
        of_day = drop_ms % DAY_MS // MINUTE_MS
        low = [DROPS_BY + each for each in FLAT]
        by_minute = {of_day: DROP}
        self._dropping = _pattern(
            lambda minute: by_minute.get(minute, FLAT if minute < of_day else low)
        )
        self.drop_ms = drop_ms

    def _day(self, day):
        drop_day, first_id = self.drop_ms // DAY_MS, day * TRADES * MINUTES
        high = self._listing.ticks
        if day == drop_day:
            return _Day(self._dropping, high, first_id)
        return _Day(self._flat, high if day < drop_day else high + DROPS_BY, first_id)


def draw(sandbox) -> Drop:
    """Let the symbol, which is listed, have its drawn prices from now on."""
    market = sandbox.market.of(SYMBOL)
    market._walk = Drop(1, market.listing)
    return market._walk


def _pattern(trades_of: Callable[[int], Sequence[int]]) -> Pattern:
    """Return the day whose minutes have these trades."""
    offsets = array("i", chain.from_iterable(map(trades_of, range(MINUTES))))
    lots, times = array("i", LOTS * MINUTES), array("i", TIMES_MS * MINUTES)
    minutes = [
        shape_of(offsets[at : at + TRADES], lots[at : at + TRADES], at)
        for at in range(0, len(offsets), TRADES)
    ]
    bars = {
        timeframe: [
            merge(minutes[at : at + timeframe.ms // MINUTE_MS])
            for at in range(0, MINUTES, timeframe.ms // MINUTE_MS)
        ]
        for timeframe in Timeframe
    }
    return Pattern(bars, offsets, lots, times)
