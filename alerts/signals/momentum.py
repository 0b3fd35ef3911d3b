"""What a close says of its pair against the closes before it. Pure code.

An *extreme move* lasts from the first close whose MACD-V is beyond 150, on either side, up to the
next one that is not beyond it on that side. Beyond is never at.
"""

from collections.abc import Sequence
from typing import NamedTuple

from livermore.market.indicators import Stage, stage_of

EXTREME = 150.0
DEEPEST, BETWEEN = 400.0, 50.0
LEVELS = tuple(EXTREME + BETWEEN * n for n in range(int((DEEPEST - EXTREME) / BETWEEN) + 1))
# How far the histogram has to be past zero, in shares of |MACD-V|, that it has turned.
TURNS_UP, TURNS_DOWN = 0.05, -0.03


class Close(NamedTuple):
    """A closed candle: open time, price, and MACD-V with its signal where both are known."""

    time_ms: int
    price: float
    value: float | None = None
    signal: float | None = None


class Known(NamedTuple):
    """All that the next close is measured by, as of one close; it follows from the closes alone.

    `value`, `signal` and `stage` are of the last close that had them. `peak` is the furthest MACD-V
    of the extreme move that lasts, with its sign, 0.0 where none does; `turned_ms` the open time of
    the close at which it turned, None where it has not.
    """

    time_ms: int
    price: float
    value: float | None = None
    signal: float | None = None
    stage: Stage | None = None
    peak: float = 0.0
    turned_ms: int | None = None


def after(before: Known | None, close: Close) -> Known:
    """Return what is known as of a close, `before` being as of the one before it, None of none."""
    value, signal = close.value, close.signal
    if value is None or signal is None:
        return (before or Known(*close[:2]))._replace(time_ms=close.time_ms, price=close.price)
    stage = stage_of(value, signal)
    if abs(value) <= EXTREME:
        return Known(close.time_ms, close.price, value, signal, stage)
    peak, turned_ms = value, None
    if before and before.peak * value > 0:
        peak = max(before.peak, value, key=abs)
        turned_ms = before.turned_ms
    if turned_ms is None and before and _turns(before, value, signal):
        turned_ms = close.time_ms
    return Known(close.time_ms, close.price, value, signal, stage, peak, turned_ms)


def levels_from(first: float) -> tuple[float, ...]:
    """Return the levels from `first` on, it among them: 150, 200, … 400 where it is 150."""
    return (first, *(level for level in LEVELS if level > first))


def crossed_level(before: Known | None, now: Known, levels: Sequence[float]) -> float | None:
    """Return the deepest level, with its sign, that a close is the first of its move beyond."""
    if before is None or before.value is None or now.value is None:
        return None  # where MACD-V came from is not known
    if abs(now.value) <= EXTREME:
        return None
    reached = abs(before.peak) if before.peak * now.value > 0 else 0.0
    new = [level for level in levels if reached <= level < abs(now.value)]
    return max(new) * (1 if now.value > 0 else -1) if new else None


def changed_stage(before: Known | None, now: Known) -> bool:
    """Tell whether a close is in another stage than the last one that was in one."""
    return before is not None and before.stage is not None and before.stage != now.stage


def is_reversal(now: Known) -> bool:
    """Tell whether an extreme move turns with this close."""
    return now.turned_ms == now.time_ms


def passed_price(before: Known | None, now: Known, price: float, is_above: bool) -> bool:
    """Tell whether a close is the first above a price, or below it, after one that was not."""
    if before is None:
        return False
    return before.price <= price < now.price if is_above else now.price < price <= before.price


def _turns(before: Known, value: float, signal: float) -> bool:
    """Tell whether the histogram passes the bound of that side with this close."""
    if before.value is None or before.signal is None:
        return False
    bound = TURNS_UP if value < 0 else TURNS_DOWN
    sign = 1 if value < 0 else -1
    past = sign * (before.value - before.signal - bound * abs(before.value))
    return past <= 0 < sign * (value - signal - bound * abs(value))
