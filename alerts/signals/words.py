"""What a signal says: what happened, its pair in all six timeframes, and what it stands on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from alerts.signals.choice import LEVEL, PRICE_ABOVE, REVERSAL, STAGE, Step
from alerts.signals.momentum import TURNS_DOWN, TURNS_UP, Known
from alerts.signals.pair_signals import PairSignals
from livermore.market.decimal_text import plain
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST


def happened(kind: str, which: str, step: Step) -> str:
    """Return what a close did, with the numbers that say so."""
    before, now = step
    if kind == LEVEL:
        text = f"MACD-V is beyond {which}"
    elif kind == STAGE:
        text = f"{before.stage if before else 'unknown'} becomes {which}"
    elif kind == REVERSAL:
        bound = f"above {TURNS_UP:.0%}" if which == "up" else f"below {TURNS_DOWN:.0%}"
        text = f"the extreme move turns {which}: its histogram is {bound} of |MACD-V|"
    else:
        side = "above" if kind == PRICE_ABOVE else "below"
        text = f"the price is {side} {price(float(which))}"
    return f"{text}\n{numbers(now)}"


def was(kind: str, which: str) -> str:
    """Return what was told of a close, in short."""
    if kind == LEVEL:
        return f"MACD-V beyond {which}"
    if kind == STAGE:
        return f"the stage {which}"
    if kind == REVERSAL:
        return f"the turn {which}"
    return f"a price {'above' if kind == PRICE_ABOVE else 'below'} {price(float(which))}"


def numbers(now: Known) -> str:
    """Return price and MACD-V of a close."""
    said = f"price {price(now.price)}"
    if now.value is not None and now.signal is not None:
        histogram = now.value - now.signal
        said += (
            f", MACD-V {now.value:.1f}, signal {now.signal:.1f}, histogram {histogram:+.1f}"
            f", {now.stage}"
        )
    return said


def closed_at(pair: Pair, now: Known) -> str:
    """Return when a close was, such as "closed 2026-11-29 14:00 UTC"."""
    at = datetime.fromtimestamp((now.time_ms + pair.timeframe.ms) / 1000, UTC)
    return f"closed {at:%Y-%m-%d %H:%M} UTC"


def all_timeframes(pair: Pair, now: Known, stored: Mapping[Pair, str]) -> str:
    """Return MACD-V and stage of a symbol in all six timeframes: of the pair as of this close.

    `stored` has `in_short` of the others.
    """
    own = "unknown" if now.value is None else f"{now.value:.0f} {now.stage}"
    pairs = (Pair(pair.symbol, timeframe) for timeframe in LONGEST_FIRST)
    return ", ".join(f"{each.timeframe} {own if each == pair else stored[each]}" for each in pairs)


def inputs(state: PairSignals) -> str:
    """Return whether MACD-V of a pair stands on all of its candles."""
    window = state.window
    if window is None or window.complete:
        return "inputs complete"
    bars = window.state.result().span_bars
    missing = state.missing_bars or "some"
    return f"inputs NOT complete: {missing} of {bars:,} bars of {state.pair.timeframe} are missing"


def price(number: float) -> str:
    """Return a price with all its digits, 100 in place of 100.0."""
    return plain(number).removesuffix(".0")


def in_short(stored: Mapping[str, Any] | None) -> str:
    """Return MACD-V and stage of a pair as they are stored, or why there is none."""
    if stored is None:
        return "unknown"
    value, stage = stored.get("value"), stored.get("stage")
    if value is None or stage is None:
        return str(stored.get("reason") or "unknown")
    return f"{value:.0f} {stage}" + ("" if stored.get("coverageComplete") else " (with holes)")
