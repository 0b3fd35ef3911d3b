"""The walk of one symbol's price: bars and trades as a pure function of the time."""

from hashlib import blake2b
from math import lcm
from typing import NamedTuple

from exchanges.sandbox.market.bars import Bar, Trade, join
from exchanges.sandbox.market.listings import Listing
from exchanges.sandbox.market.patterns import (
    STEP,
    TRADES,
    VARIANTS,
    Pattern,
    Shape,
    buyer_takes,
    pattern,
    shape_of,
    standing_at,
)
from livermore.market.timeframe import LONGEST_FIRST, MINUTE_MS, Timeframe

DAY_MS = Timeframe.D1.ms
_WAVES = ((46, 8), (26, 4))  # period in days and ceiling of the two waves that move a level


def _level_of(day: int) -> int:
    """Add up the waves, each of which moves by at most one a day and never passes its ceiling."""
    return sum(
        max(-ceiling, min(ceiling, abs(day % period - period // 2) - period // 4))
        for period, ceiling in _WAVES
    )


_LEVELS = tuple(_level_of(day) for day in range(lcm(*(period for period, _ in _WAVES))))


class _Day(NamedTuple):
    pattern: Pattern
    opening: int  # price in ticks
    first_id: int


class Walk:
    """One symbol's prices since it was listed; `name` is what they are drawn for.

    Prices are `opening + scale * offset` of the day's pattern. Adding and multiplying whole
    numbers keeps order and sums exact, so a bar read from a pattern's table is exactly the
    aggregation of its minutes.
    """

    def __init__(self, seed: int, listing: Listing, name: str):
        self._listing = listing
        self._seed = seed
        digest = blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest)
        self._scale = listing.ticks // 100_000 * (1 + self._key % 3)
        self._unit = listing.lot

    def bars(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> list[Bar]:
        """Return the bars that open in [start_ms, end_ms), as they are once complete."""
        listed_ms = self._listing.listed_ms
        start_ms = timeframe.ceil(max(start_ms, timeframe.floor(listed_ms)))
        bars: list[Bar] = []
        if start_ms < listed_ms and start_ms < end_ms:
            first_bar = self.span(start_ms, listed_ms, start_ms + timeframe.ms)
            bars += [first_bar] if first_bar else []
            start_ms += timeframe.ms
        while start_ms < end_ms:
            day, into_ms = divmod(start_ms, DAY_MS)
            first, last = into_ms // timeframe.ms, -(-(end_ms - day * DAY_MS) // timeframe.ms)
            today = self._day(day)
            shapes = today.pattern.bars[timeframe][first:last]
            bars += self._bars(today, shapes, start_ms, timeframe.ms)
            start_ms = (day + 1) * DAY_MS
        return bars

    def trades(self, minute_ms: int) -> list[Trade]:
        """Return the trades of the minute that opens at `minute_ms`, in the order they happened."""
        if minute_ms < self._listing.listed_ms:
            return []
        today, shape = self._minute(minute_ms)
        drawn, opening, scale, unit = today.pattern, today.opening, self._scale, self._unit
        return [
            Trade(
                today.first_id + at,
                minute_ms + drawn.times[at],
                opening + scale * drawn.offsets[at],
                unit * drawn.lots[at],
                buyer_takes(drawn.lots[at]),
            )
            for at in range(shape.first, shape.first + shape.trades)
        ]

    def span(self, open_ms: int, start_ms: int, end_ms: int) -> Bar | None:
        """Aggregate the trades in [start_ms, end_ms), or return None where that is empty.

        `start_ms` is a whole minute at or after the listing; `open_ms` is what the bar will say.
        """
        parts: list[Bar] = []
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

    def _bars(self, today: _Day, shapes: list[Shape], start_ms: int, step_ms: int) -> list[Bar]:
        at, scale, unit, first_id = today.opening, self._scale, self._unit, today.first_id
        times = range(start_ms, start_ms + len(shapes) * step_ms, step_ms)
        return [
            Bar._make((
                open_ms, at + scale * o, at + scale * h, at + scale * low, at + scale * c,
                unit * lots, n, unit * (at * lots + scale * weight), first_id + first,
                unit * taken, unit * (at * taken + scale * taken_weight),
            ))
            for open_ms, (o, h, low, c, lots, n, weight, first, taken, taken_weight)
            in zip(times, shapes, strict=True)
        ]  # fmt: skip

    def _minute(self, minute_ms: int) -> tuple[_Day, Shape]:
        day, into_ms = divmod(minute_ms, DAY_MS)
        today = self._day(day)
        return today, today.pattern.bars[Timeframe.M1][into_ms // MINUTE_MS]

    def _day(self, day: int) -> _Day:
        listing, level = self._listing, self._level(day)
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
        return standing_at(minute.open, first)
    return shape_of(drawn.offsets[first:end], drawn.lots[first:end], first)


def _mix(number: int) -> int:
    """Scatter neighbouring numbers (Steele, Lea and Flood 2014, the SplitMix64 finaliser)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    number = (number ^ number >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return number ^ number >> 31
