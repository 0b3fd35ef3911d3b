"""What one pair's MACD-V stands on: the candles that the cache has of it, and those since."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from livermore.market.coverage import Coverage, missing
from livermore.market.indicators import MacdVState
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT
from warmup.scanner import MIN_CANDLE_THRESHOLD

logger = logging.getLogger(__name__)

# A window that goes on past what the cache keeps has the same value as the cache's own, to
# rounding, as long as the newest 1,000 rows hold enough true ranges: the average of 26 forgets its
# seed by one 26th with each. (25/26)^674 is 3e-12.
LONGEST_ROWS = 2 * CANDLES_KEPT
MOST_QUIET_ROWS = 300
# What is before a stretch that long without a candle says nothing about now.
LONGEST_GAP_BARS = CANDLES_KEPT
ROW = ("timestamp", "open", "high", "low", "close", "volume")


@dataclass(slots=True)
class Window:
    """A pair's sums over `rows` candles; `complete` if the cache vouches for every bar of them."""

    pair: Pair
    state: MacdVState
    rows: int
    complete: bool

    @classmethod
    def read(cls, pair: Pair, members: Sequence[bytes], coverage: Coverage) -> "Window | None":
        """Return the window of all candles in the cache, None where they are fewer than 60."""

        def take(state: MacdVState, rows: Sequence[Sequence]) -> None:
            state.extend(rows)

        return cls.read_by(take, pair, members, coverage)

    @classmethod
    def read_by(
        cls,
        take: Callable[[MacdVState, Sequence[Sequence]], None],
        pair: Pair,
        members: Sequence[bytes],
        coverage: Coverage,
    ) -> "Window | None":
        """Return the same; `take` gives the state its rows, to look at it between two of them."""
        if len(members) < MIN_CANDLE_THRESHOLD:
            return None
        state = MacdVState(pair.timeframe)
        try:
            rows = rows_of(members)
            rows = rows[_first_after_gap(rows, pair.timeframe.ms) :]
            take(state, rows)
            covered = not missing(coverage, rows[0][0], rows[-1][0] + pair.timeframe.ms)
        except (ValueError, TypeError, LookupError) as error:  # somebody else wrote it
            logger.error("window.unreadable pair=%s/%s error=%s", *pair, error)
            return None
        return cls(pair, state, len(rows), covered)

    def leaves_gap(self, event: Mapping[str, Any]) -> bool:
        """Tell whether there are bars between the last candle and this close."""
        return event["timestamp"] > self._last_ms + self.pair.timeframe.ms

    def advance(self, event: Mapping[str, Any], coverage: Coverage | None = None) -> bool:
        """Take a close in where that is exact; return whether the window holds it now.

        It is where nothing lies between it and the last candle: it is the next bar, or `coverage`
        vouches for the bars between, whose candles would have been told.
        """
        time, length = event["timestamp"], self.pair.timeframe.ms
        if time <= self._last_ms:
            return True  # it was in the cache already when the window was read
        if self.leaves_gap(event) and (
            coverage is None or missing(coverage, self._last_ms, time + length)
        ):
            return False
        if time - self._last_ms > LONGEST_GAP_BARS * length or self._is_too_long():
            return False
        self.state.extend([[event[name] for name in ROW]])
        self.rows += 1
        return True

    @property
    def _last_ms(self) -> int:
        assert self.state.last_ms is not None  # a window is read with candles, or there is none
        return self.state.last_ms

    def _is_too_long(self) -> bool:
        if self.rows < CANDLES_KEPT:
            return False
        quiet = self.rows - self.state.result().n_eff
        return self.rows >= LONGEST_ROWS or quiet > MOST_QUIET_ROWS

    def as_json(self, exchange_id: int) -> dict[str, Any]:
        """Return the object that is stored."""
        found = self.state.result()
        return {
            "exchangeId": exchange_id,
            "symbol": self.pair.symbol,
            "timeframe": self.pair.timeframe,
            "timestamp": found.last_ms,
            "value": found.value,
            "signal": found.signal,
            "histogram": found.histogram,
            "ema12": found.ema12,
            "ema26": found.ema26,
            "atr": found.atr,
            "stage": found.stage,
            "reason": found.reason,
            "seeded": found.seeded,
            "nEff": found.n_eff,
            "spanBars": found.span_bars,
            "liquidity": found.liquidity,
            "firstTimestamp": found.first_ms,
            "lastTimestamp": found.last_ms,
            "coverageComplete": self.complete,
        }


def rows_of(members: Sequence[bytes]) -> list[list]:
    """Return the rows `[timestamp, open, high, low, close, volume, …]` that members hold."""
    # One text for all candles: a decoder that is called once takes half the time.
    return orjson.loads(b"[" + b",".join(members) + b"]")


def _first_after_gap(rows: Sequence[Sequence], length_ms: int) -> int:
    """Return where the candles after the last very long gap begin, 0 where there is none."""
    longest_ms = LONGEST_GAP_BARS * length_ms
    if rows[-1][0] - rows[0][0] <= longest_ms:
        return 0
    return next(
        (i for i in range(len(rows) - 1, 0, -1) if rows[i][0] - rows[i - 1][0] > longest_ms), 0
    )
