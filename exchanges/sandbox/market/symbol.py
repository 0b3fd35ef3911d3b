"""One symbol's market: every price, volume and trade as a pure function of the time."""

from hashlib import blake2b
from math import inf, lcm
from typing import NamedTuple

from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.patterns import STEP, TRADES, VARIANTS, Pattern, Shape, pattern
from livermore.market.timeframe import LONGEST_FIRST, MINUTE_MS, Timeframe

DAY_MS = Timeframe.D1.ms
VOLUME_DECIMALS = 8
_WAVES = ((46, 8), (26, 4))  # period in days and ceiling of the two waves that move a level


def _level_of(day: int) -> int:
    """Add up the waves, each of which moves by at most one a day and never passes its ceiling."""
    return sum(
        max(-ceiling, min(ceiling, abs(day % period - period // 2) - period // 4))
        for period, ceiling in _WAVES
    )


_LEVELS = tuple(_level_of(day) for day in range(lcm(*(period for period, _ in _WAVES))))


class Bar(NamedTuple):
    """A candle in whole numbers: prices in ticks, volume in units of 10^-8 of the base.

    `quote` is price x volume in ticks x units. `first_id` is its first trade's id, meaningful
    where `trades` is not 0.
    """

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int
    quote: int
    first_id: int


class Trade(NamedTuple):
    """One match; `price` in ticks, `size` in units of 10^-8, ids without gaps per symbol."""

    id: int
    time_ms: int
    price: int
    size: int
    buyer_took: bool


class _Day(NamedTuple):
    pattern: Pattern
    opening: int  # price in ticks
    first_id: int


class SymbolMarket:
    """The market of one listing.

    Prices are `opening + scale * offset` of the day's pattern. Adding and multiplying whole
    numbers keeps order and sums exact, so a bar read from a pattern's table is exactly the
    aggregation of its minutes. In whole minutes that are halted nothing is traded.
    """

    def __init__(self, seed: int, listing: Listing, walks_as: str = ""):
        """`walks_as` names another symbol whose prices these are."""
        self.listing = listing
        self._seed = seed
        self._halts: list[tuple[int, float]] = []  # [from, to), in order
        name = walks_as or listing.symbol
        digest = blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest)
        self._scale = listing.ticks // 100_000 * (1 + self._key % 3)
        self._unit = listing.lot

    @property
    def halted_ms(self) -> int | None:
        """Since when nothing is traded, None while something is."""
        return self._halts[-1][0] if self._halts and self._halts[-1][1] == inf else None

    def halt(self, now_ms: int) -> None:
        """Trade no more after the minute of `now_ms`."""
        if self.halted_ms is None:
            self._halts.append((Timeframe.M1.ceil(now_ms + 1), inf))

    def resume(self, now_ms: int) -> None:
        """Trade again from the minute after `now_ms` on."""
        if self.halted_ms is not None:
            from_ms, _ = self._halts.pop()
            self._halts.append((from_ms, Timeframe.M1.ceil(now_ms + 1)))

    def bars(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> list[Bar]:
        """Return the bars that open in [start_ms, end_ms), as they are once complete."""
        bars = self._without_halts(timeframe, start_ms, end_ms)
        if not self._halts:
            return bars
        return [seen for bar in bars if (seen := self._halted(bar, timeframe))]

    def _without_halts(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> list[Bar]:
        listed_ms = self.listing.listed_ms
        start_ms = timeframe.ceil(max(start_ms, timeframe.floor(listed_ms)))
        bars: list[Bar] = []
        if start_ms < listed_ms and start_ms < end_ms:
            bars.append(self.span(start_ms, listed_ms, start_ms + timeframe.ms))
            start_ms += timeframe.ms
        while start_ms < end_ms:
            day, into_ms = divmod(start_ms, DAY_MS)
            first, last = into_ms // timeframe.ms, -(-(end_ms - day * DAY_MS) // timeframe.ms)
            today = self._day(day)
            shapes = today.pattern.bars[timeframe][first:last]
            bars += self._bars(today, shapes, start_ms, timeframe.ms)
            start_ms = (day + 1) * DAY_MS
        return bars

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
        if minute_ms < self.listing.listed_ms or self._is_halted(minute_ms):
            return []
        today, shape = self._minute(minute_ms)
        drawn, opening, scale, unit = today.pattern, today.opening, self._scale, self._unit
        return [
            Trade(
                today.first_id + at,
                minute_ms + drawn.times[at],
                opening + scale * drawn.offsets[at],
                unit * drawn.lots[at],
                bool(drawn.lots[at] & 1),
            )
            for at in range(shape.first, shape.first + shape.trades)
        ]

    def span(self, open_ms: int, start_ms: int, end_ms: int) -> Bar | None:
        """Aggregate the trades in [start_ms, end_ms), or return None where that is empty.

        `start_ms` is a whole minute at or after the listing; `open_ms` is what the bar will say.
        """
        if not self._halts:
            return self._span(open_ms, start_ms, end_ms)
        parts = [self._span(open_ms, *part) for part in self._traded(start_ms, end_ms)]
        if parts:
            return join(parts, open_ms)
        return self._flat(open_ms, start_ms) if start_ms < end_ms else None

    def _span(self, open_ms: int, start_ms: int, end_ms: int) -> Bar | None:
        parts = []
        at_ms = start_ms
        while at_ms < end_ms:
            timeframe = _longest_step(at_ms, end_ms)
            today, minute = self._minute(at_ms)
            if timeframe is None:
                shape = _so_far(today.pattern, minute, end_ms - at_ms)
                parts += self._bars(today, [shape], at_ms, MINUTE_MS)
                break
            shape = today.pattern.bars[timeframe][at_ms % DAY_MS // timeframe.ms]
            parts += self._bars(today, [shape], at_ms, timeframe.ms)
            at_ms += timeframe.ms
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
        if last_ms < self.listing.listed_ms:
            return None
        before = self.span(last_ms, last_ms, from_ms)
        price, next_id = before.close, before.first_id + before.trades
        return Bar(open_ms, price, price, price, price, 0, 0, 0, next_id)

    def _bars(self, today: _Day, shapes: list[Shape], start_ms: int, step_ms: int) -> list[Bar]:
        at, scale, unit, first_id = today.opening, self._scale, self._unit, today.first_id
        times = range(start_ms, start_ms + len(shapes) * step_ms, step_ms)
        return [
            Bar._make((
                open_ms, at + scale * o, at + scale * h, at + scale * low, at + scale * c,
                unit * lots, n, unit * (at * lots + scale * weight), first_id + first,
            ))
            for open_ms, (o, h, low, c, lots, n, weight, first) in zip(times, shapes, strict=True)
        ]  # fmt: skip

    def _minute(self, minute_ms: int) -> tuple[_Day, Shape]:
        day, into_ms = divmod(minute_ms, DAY_MS)
        today = self._day(day)
        return today, today.pattern.bars[Timeframe.M1][into_ms // MINUTE_MS]

    def _day(self, day: int) -> _Day:
        listing, level = self.listing, self._level(day)
        climb = self._level(day + 1) - level
        variant = _mix(self._key + day) % VARIANTS
        drawn = pattern(self._seed, listing.quiet, climb, variant)
        opening = listing.ticks + self._scale * STEP * level
        return _Day(drawn, opening, day * TRADES[listing.quiet])

    def _level(self, day: int) -> int:
        return _LEVELS[(day + self._key) % len(_LEVELS)]


def _longest_step(at_ms: int, end_ms: int) -> Timeframe | None:
    left_ms = end_ms - at_ms
    fitting = (t for t in LONGEST_FIRST if t.ms <= left_ms and not at_ms % t.ms)
    return next(fitting, None)


def _so_far(drawn: Pattern, minute: Shape, elapsed_ms: int) -> Shape:
    """Cut a minute down to its trades before `elapsed_ms`."""
    first, end = minute.first, minute.first + minute.trades
    end = next((at for at in range(first, end) if drawn.times[at] >= elapsed_ms), end)
    if first == end:
        return Shape(*[minute.open] * 4, 0, 0, 0, first)
    offsets, lots = drawn.offsets[first:end], drawn.lots[first:end]
    weight = sum(price * size for price, size in zip(offsets, lots, strict=True))
    span = (offsets[0], max(offsets), min(offsets), offsets[-1])
    return Shape(*span, sum(lots), end - first, weight, first)


def join(parts: list[Bar], open_ms: int) -> Bar:
    """Aggregate neighbouring bars, first to last, into one that opens at `open_ms`."""
    return Bar(
        open_ms,
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        sum(bar.volume for bar in parts),
        sum(bar.trades for bar in parts),
        sum(bar.quote for bar in parts),
        parts[0].first_id,
    )


def _mix(number: int) -> int:
    """Scatter neighbouring numbers (Steele, Lea and Flood 2014, the SplitMix64 finaliser)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    number = (number ^ number >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return number ^ number >> 31
