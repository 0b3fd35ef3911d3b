"""MACD-V and what it is made of, over closed candles, with bars in which nothing was traded.

Alex Spiroglou, "MACD-V: Volatility Normalised Momentum", NAAIM 2022. What is decided here and not
there, sparse pairs and equalities above all, is told in docs/indicators.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import Any, NamedTuple

from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe

FAST, SLOW, SIGNAL = 12, 26, 9  # SLOW is the ATR's length too

# An EMA goes 2 / (n + 1) of the way to each new value. Dividing by the inverse is exact.
FAST_DIVISOR, SLOW_DIVISOR, SIGNAL_DIVISOR = ((n + 1) / 2 for n in (FAST, SLOW, SIGNAL))

# An ATR of no more than this share of the price is none: after hundreds of bars at one price both
# EMAs are that price but for rounding, and a quotient would show the rounding, magnified.
STANDSTILL = 1e-10

# [timestamp, open, high, low, close, volume, …], as Candle.row() gives it and the cache keeps it.
Row = Sequence[Any]  # the open time in whole ms, then five floats: no list's type can say that


def ema(values: Sequence[float], n: int) -> Any:
    """Return the exponential moving average: the mean of the first `n`, then alpha = 2 / (n + 1).

    A list of floats, or the array for a numpy array; nan until there are `n` values. A nan is a
    value that is missing: nan there, and the average goes on without it.
    """
    return _smooth(values, n, (n + 1) / 2)


def true_range(high: Sequence[float], low: Sequence[float], close: Sequence[float]) -> Any:
    """Return max(high - low, |high - previous close|, |low - previous close|) of every bar.

    Kinds and nan as in `ema`; the first bar has no previous close and so no range. The previous
    close is the last one that is not missing. Raises ValueError for unequal lengths.
    """
    ranges, before = [], nan
    for top, bottom, last in zip(*(map(float, each) for each in (high, low, close)), strict=True):
        known = before == before  # nan is equal to nothing
        widest = max(top - bottom, abs(top - before), abs(bottom - before)) if known else nan
        ranges.append(widest)
        before = last if last == last else before
    return _of_kind(close, ranges)


def atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], n: int) -> Any:
    """Return the average true range: the mean of the first `n` ranges, then Wilder's smoothing.

    Kinds, nan and errors as in `true_range`.
    """
    return _smooth(true_range(high, low, close), n, n)


def _smooth(values: Sequence[float], n: int, divisor: float) -> Any:
    if n < 1:
        raise ValueError(f"an average is over 1 value or more, not {n}")
    averages, average, seen = [], 0.0, 0
    for value in map(float, values):
        if value == value:
            seen += 1
            average += (value - average) / (seen if seen <= n else divisor)  # the mean at first
        averages.append(average if seen >= n and value == value else nan)
    return _of_kind(values, averages)


def _of_kind(model: Any, numbers: list[float]) -> Any:
    """Return the numbers as an array where `model` is one, without knowing numpy."""
    if not hasattr(model, "astype"):
        return numbers
    array = model.astype(float)  # always a copy
    array[:] = numbers
    return array


class Stage(StrEnum):
    """Where in its swing the momentum is; see `stage_of`."""

    OVERSOLD = "oversold"
    OVERBOUGHT = "overbought"
    RALLYING = "rallying"
    REBOUNDING = "rebounding"
    RETRACING = "retracing"
    REVERSING = "reversing"
    RANGING = "ranging"


def stage_of(value: float, signal: float) -> Stage:
    """Return the one stage of a MACD-V and its signal, both finite.

    ==========  =====================  ============
    oversold    below -150             wherever
    overbought  above 150              above signal
    rallying    50 to 150              above signal
    rebounding  -150 up to 50          above signal
    retracing   above -50              below signal
    reversing   -150 to -50            below signal
    ranging     -50 to 50              at signal
    ==========  =====================  ============

    50 is rallying, 150 too; -50 is reversing, -150 too; above the signal -150 is rebounding. A
    value at its signal outside of -50 to 50 goes on outwards: it counts as above the signal where
    it is positive and as below where it is negative.
    """
    if value < -150:
        return Stage.OVERSOLD
    if value == signal and -50 <= value <= 50:
        return Stage.RANGING
    if value > signal or (value == signal and value > 0):
        if value > 150:
            return Stage.OVERBOUGHT
        return Stage.RALLYING if value >= 50 else Stage.REBOUNDING
    return Stage.RETRACING if value > -50 else Stage.REVERSING


class Reason(StrEnum):
    """Why there is no signal yet, or no value either."""

    TOO_FEW_CANDLES = "too few candles"  # more bars bring it
    LOW_TRADING_ACTIVITY = "low trading activity"  # bars enough, but too few of them traded
    NO_PRICE_MOVEMENT = "no price movement"  # an ATR of nothing: see STANDSTILL


@dataclass(frozen=True, slots=True)
class MacdV:
    """MACD-V as of the last candle of a window; None is what isn't known yet, never nan.

    `seeded`: value, signal, histogram and stage are all there; `reason` says why not, and is None
    exactly then. A value without a signal is one of the first eight.

    `span_bars`: bars from the first candle to the last. `liquidity`: the share of them that were
    traded in. `n_eff`: true ranges in `atr`, one for each traded bar but the first. `first_ms`,
    `last_ms`: open times of the first and the last candle.
    """

    value: float | None
    signal: float | None
    histogram: float | None
    ema12: float | None
    ema26: float | None
    atr: float | None
    stage: Stage | None
    seeded: bool
    n_eff: int
    span_bars: int
    liquidity: float | None
    first_ms: int | None
    last_ms: int | None
    reason: Reason | None


class _Sums(NamedTuple):
    """All that the next bar needs to know of those before it."""

    bars: int = 0
    candles: int = 0
    ranges: int = 0  # in atr
    values: int = 0  # in signal
    close: float = 0.0
    fast: float = 0.0
    slow: float = 0.0
    atr: float = 0.0
    value: float | None = None
    signal: float = 0.0


class MacdVState:
    """MACD-V that takes in closed candles as they come, in ascending order.

    The one computation there is: a window is a state that was given all of it. So however candles
    are handed over, one by one or at once, the numbers are the same to the last bit.
    """

    __slots__ = ("_sums", "first_ms", "last_ms", "timeframe")

    def __init__(self, timeframe: Timeframe):
        self.timeframe = timeframe
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self._sums = _Sums()

    def update(self, candle: Candle) -> MacdV:
        """Take in the next candle, and before it the bars without one; return what is known now.

        Raises ValueError, and changes nothing, for a candle of another timeframe or one that is
        not after the last: where the past changed, a new state has to be made.
        """
        self.extend(_rows([candle], self.timeframe))
        return self.result()

    def extend(self, rows: Sequence[Row]) -> None:
        """Take in rows `[timestamp, open, high, low, close, volume]`; errors as in `update`."""
        if not rows:
            return
        ms = self.timeframe.ms
        first = rows[0][0] if self.last_ms is None else self.last_ms + ms
        dense = [row[0] for row in rows] == list(range(first, first + len(rows) * ms, ms))
        bars = rows if dense else _every_bar(rows, first, self._sums.close, ms)
        self._sums = _advance(self._sums, bars)
        self.first_ms = first if self.first_ms is None else self.first_ms
        self.last_ms = rows[-1][0]

    def momentum(self) -> tuple[float, float] | None:
        """Return MACD-V and its signal as of the last candle, None while either isn't known."""
        sums = self._sums
        return None if sums.value is None or _reason(sums) else (sums.value, sums.signal)

    def kept(self) -> list[Any]:
        """Return all that it knows, for JSON; what `of_kept` makes of it goes on to the bit."""
        return [self.first_ms, self.last_ms, *self._sums]

    @classmethod
    def of_kept(cls, timeframe: Timeframe, kept: Sequence[Any]) -> "MacdVState":
        """Return the state that `kept` told. Raises TypeError for what it can't have told."""
        state = cls(timeframe)
        state.first_ms, state.last_ms, *sums = kept
        state._sums = _Sums(*sums)
        return state

    def result(self) -> MacdV:
        """Return what is known as of the last candle."""
        sums = self._sums
        value, reason = sums.value, _reason(sums)
        signal = sums.signal if reason is None else None
        return MacdV(
            value,
            signal,
            None if value is None or signal is None else value - signal,
            sums.fast if sums.bars >= FAST else None,
            sums.slow if sums.bars >= SLOW else None,
            sums.atr if sums.ranges >= SLOW else None,
            None if value is None or signal is None else stage_of(value, signal),
            reason is None,
            sums.ranges,
            sums.bars,
            sums.candles / sums.bars if sums.bars else None,
            self.first_ms,
            self.last_ms,
            reason,
        )


def macd_v(candles: Sequence[Candle], timeframe: Timeframe) -> MacdV:
    """Return the MACD-V of a window of closed candles, ascending; errors as in `MacdVState`."""
    return macd_v_of_rows(_rows(candles, timeframe), timeframe)


def macd_v_of_rows(rows: Sequence[Row], timeframe: Timeframe) -> MacdV:
    """Return the same of rows `[timestamp, open, high, low, close, volume]`, as they are cached."""
    state = MacdVState(timeframe)
    state.extend(rows)
    return state.result()


class MacdVSeries(NamedTuple):
    """One number for each candle of a window, nan where `MacdV` has None."""

    values: list[float]
    signals: list[float]
    histograms: list[float]


def macd_v_series(rows: Sequence[Row], timeframe: Timeframe) -> MacdVSeries:
    """Return MACD-V as of every row of a window, for a chart; rows as in `macd_v_of_rows`."""
    state, series = MacdVState(timeframe), MacdVSeries([], [], [])
    for row in rows:
        state.extend([row])
        known = state.result()
        for numbers, each in zip(series, (known.value, known.signal, known.histogram), strict=True):
            numbers.append(nan if each is None else each)
    return series


def _reason(sums: _Sums) -> Reason | None:
    if sums.ranges < SLOW:
        return Reason.TOO_FEW_CANDLES if sums.bars <= SLOW else Reason.LOW_TRADING_ACTIVITY
    if sums.value is None:
        return Reason.NO_PRICE_MOVEMENT
    return Reason.TOO_FEW_CANDLES if sums.values < SIGNAL else None


def _rows(candles: Sequence[Candle], timeframe: Timeframe) -> list[Row]:
    for candle in candles:
        if candle.timeframe is not timeframe:
            raise ValueError(f"a candle of {candle.timeframe} is none of {timeframe}")
    return [candle.values() for candle in candles]


def _every_bar(rows: Sequence[Row], opens: int, close: float, ms: int) -> Iterator[Row]:
    """Yield a row for every bar from `opens` on: where there is none, `close` and no volume."""
    for row in rows:
        if row[0] < opens or (row[0] - opens) % ms:
            raise ValueError(f"the candle of {row[0]} does not follow the one of {opens - ms}")
        yield from ([at, close, close, close, close, 0.0] for at in range(opens, row[0], ms))
        yield row
        opens, close = row[0] + ms, row[4]


def _advance(sums: _Sums, bars_to_come: Iterable[Row]) -> _Sums:
    """Return the sums after more bars, none of them left out.

    A bar without volume at the last close is one that nothing was traded in, whether an exchange
    wrote it so or left it out: the same market, the same numbers.
    """
    bars, candles, ranges, values, before, fast, slow, average, value, signal = sums
    for row in bars_to_come:
        high, low, close, volume = row[2], row[3], row[4], row[5]  # it may have columns behind
        bars += 1
        # With n for a divisor this is the mean of n values, and never overflows as a sum may.
        fast += (close - fast) / (bars if bars <= FAST else FAST_DIVISOR)
        slow += (close - slow) / (bars if bars <= SLOW else SLOW_DIVISOR)
        if volume or high != before or low != before:
            candles += 1
            if bars > 1:
                ranges += 1
                # The true range: the largest of the three differences, to the bit.
                widest = (high if high > before else before) - (low if low < before else before)
                average += (widest - average) / (ranges if ranges <= SLOW else SLOW)
        before = close
        if ranges >= SLOW and average > close * STANDSTILL:
            values += 1
            value = (fast - slow) / average * 100
            signal += (value - signal) / (values if values <= SIGNAL else SIGNAL_DIVISOR)
        else:
            value = None
    return _Sums(bars, candles, ranges, values, before, fast, slow, average, value, signal)
