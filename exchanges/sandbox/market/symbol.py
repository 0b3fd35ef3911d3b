"""One symbol's market: what is traded in it, and when it is halted."""

from collections.abc import Sequence

from exchanges.sandbox.market.bars import Bar, Trade, join
from exchanges.sandbox.market.drawn import Drawn, DrawnWalk
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.walk import DAY_MS, Walk
from livermore.market.timeframe import MINUTE_MS, Timeframe

_NEVER = 1 << 62  # later than any time


class SymbolMarket:
    """The market of one listing. In whole minutes that are halted nothing is traded."""

    def __init__(self, seed: int, listing: Listing, walks_as: str = ""):
        """`walks_as` names another symbol whose prices these are."""
        self.listing = listing
        self._walk: Walk | DrawnWalk = Walk(seed, listing, walks_as or listing.symbol)
        self._halts: list[tuple[int, int]] = []  # [from, to), in order

    @property
    def halted_ms(self) -> int | None:
        """Since when nothing is traded, None while something is."""
        return self._halts[-1][0] if self._halts and self._halts[-1][1] == _NEVER else None

    def halt(self, now_ms: int) -> None:
        """Trade no more after the minute of `now_ms`."""
        if self.halted_ms is None:
            self._halts.append((Timeframe.M1.ceil(now_ms + 1), _NEVER))

    def resume(self, now_ms: int) -> None:
        """Trade again from the minute after `now_ms` on."""
        if self.halted_ms is not None:
            from_ms, _ = self._halts.pop()
            self._halts.append((from_ms, Timeframe.M1.ceil(now_ms + 1)))

    def draw(self, from_ms: int, closes: Sequence[int]) -> None:
        """Let the minutes from a time on close at these prices, in ticks; then the walk goes on.

        What somebody follows already is not drawn over for him: draw before. Raises ValueError for
        a time within a minute, or no price.
        """
        if from_ms % MINUTE_MS or not closes or min(closes) <= 0:
            raise ValueError("what is drawn begins with a whole minute, and has prices above 0")
        before = [closes[0], *closes]
        drawn = {
            from_ms + at * MINUTE_MS: Drawn(first, last)
            for at, (first, last) in enumerate(zip(before, closes, strict=False))
        }
        walk = self._walk
        known = {} if isinstance(walk, Walk) else walk.drawn
        self._walk = DrawnWalk(walk if isinstance(walk, Walk) else walk.walk, known | drawn)

    def bars(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> list[Bar]:
        """Return the bars that open in [start_ms, end_ms), as they are once complete."""
        bars = self._walk.bars(timeframe, start_ms, end_ms)
        if not self._halts:
            return bars
        return [seen for bar in bars if (seen := self._halted(bar, timeframe))]

    def open_bar(self, timeframe: Timeframe, now_ms: int) -> Bar | None:
        """Return the bar that holds `now_ms`, made of the trades up to and including then."""
        open_ms = timeframe.floor(now_ms)
        return self.span(open_ms, max(open_ms, self.listing.listed_ms), now_ms + 1)

    def bars_at(self, timeframe: Timeframe, first_ms: int, last_ms: int, now_ms: int) -> list[Bar]:
        """Return the bars that open in [first_ms, last_ms], as someone sees them at `now_ms`."""
        current_ms = timeframe.floor(now_ms)
        bars = self.bars(timeframe, first_ms, min(last_ms + 1, current_ms))
        if first_ms <= current_ms <= last_ms and (bar := self.open_bar(timeframe, now_ms)):
            bars.append(bar)
        return bars

    def day_before(self, now_ms: int) -> Bar | None:
        """Return the last 24 hours up to `now_ms` as one bar that opens on a whole minute."""
        start_ms = Timeframe.M1.ceil(now_ms - DAY_MS)
        return self.span(start_ms, max(start_ms, self.listing.listed_ms), now_ms + 1)

    def trades(self, minute_ms: int) -> list[Trade]:
        """Return the trades of the minute that opens at `minute_ms`, in the order they happened."""
        return [] if self._is_halted(minute_ms) else self._walk.trades(minute_ms)

    def span(self, open_ms: int, start_ms: int, end_ms: int) -> Bar | None:
        """Aggregate the trades in [start_ms, end_ms), or return None where that is empty.

        `start_ms` is a whole minute at or after the listing; `open_ms` is what the bar will say.
        One that begins halted opens at the last price before.
        """
        if not self._halts:
            return self._walk.span(open_ms, start_ms, end_ms)
        spans = [self._walk.span(open_ms, *part) for part in self._traded(start_ms, end_ms)]
        if start_ms < end_ms and self._is_halted(start_ms):
            spans.insert(0, self._flat(open_ms, start_ms))
        parts = [bar for bar in spans if bar]
        return join(parts, open_ms) if parts else None

    def _halted(self, bar: Bar, timeframe: Timeframe) -> Bar | None:
        """Return a bar without what would have been traded in halted minutes."""
        end_ms = bar.open_ms + timeframe.ms
        if not any(start < end_ms and bar.open_ms < end for start, end in self._halts):
            return bar
        return self.span(bar.open_ms, max(bar.open_ms, self.listing.listed_ms), end_ms)

    def _is_halted(self, minute_ms: int) -> bool:
        return any(start <= minute_ms < end for start, end in self._halts)

    def _traded(self, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """Return the parts of [start_ms, end_ms) that are not halted."""
        parts = []
        for from_ms, to_ms in self._halts:
            if start_ms < min(from_ms, end_ms):
                parts.append((start_ms, min(from_ms, end_ms)))
            start_ms = max(start_ms, to_ms)
        return [*parts, (start_ms, end_ms)] if start_ms < end_ms else parts

    def _flat(self, open_ms: int, minute_ms: int) -> Bar | None:
        """Return a bar of halted minutes: it stands at the last price before them."""
        from_ms = next(start for start, end in self._halts if start <= minute_ms < end)
        last_ms = from_ms - MINUTE_MS
        before = None
        if last_ms >= self.listing.listed_ms:
            before = self.span(last_ms, last_ms, from_ms)
        if before is None:
            return None
        price, next_id = before.close, before.first_id + before.trades
        return Bar(open_ms, price, price, price, price, 0, 0, 0, next_id, 0, 0)
