"""What a connection has said of a symbol, counted by what it is good for."""

import time
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from exchanges.stream.events import CandleUpdate, Clock, Event, Lost, Refused
from livermore.market.candle import Ticker
from livermore.market.timeframe import SHORTEST_FIRST, Timeframe


@dataclass
class Received:
    """What a connection has said of one symbol.

    `wanted` are the timeframes whose candles it is to tell, `ahead_ms` how far the exchange's clock
    is ahead of ours, None where that isn't known; `lag_ms` how old its youngest frame was.
    """

    symbol: str
    wanted: AbstractSet[Timeframe]
    ahead_ms: float | None = None
    lag_ms: float | None = None
    frames: int = 0
    lost: int = 0
    candles: Counter[Timeframe] = field(default_factory=Counter)
    tickers: int = 0
    ticker: Ticker | None = None
    refusal: str | None = None
    _now_ms: int = 0

    @property
    def complete(self) -> bool:
        return bool(self.wanted <= self.candles.keys() and self.ticker)

    def take(self, event: Event) -> None:
        match event:
            case Clock():
                self._now_ms = event.time_ms
                self._look_at_clock(event.time_ms)
            case CandleUpdate(symbol=self.symbol) if self._is_live(event):
                self.candles[event.candle.timeframe] += 1
            case Ticker(symbol=self.symbol):
                self.tickers, self.ticker = self.tickers + 1, event
            case Lost():
                self.lost += event.count or 1
            case Refused():
                self.refusal = event.reason

    def _look_at_clock(self, sent_ms: int) -> None:
        if self.ahead_ms is not None:
            lag_ms = time.time() * 1000 + self.ahead_ms - sent_ms
            self.lag_ms = lag_ms if self.lag_ms is None else min(self.lag_ms, lag_ms)

    def _is_live(self, update: CandleUpdate) -> bool:
        """Tell the bar of now, or the one that just ended, from what is told of before."""
        candle = update.candle
        return candle.timestamp <= self._now_ms < candle.close_time_ms + candle.timeframe.ms

    def __str__(self) -> str:
        counted = [
            f"{self.candles[each]} of {each}" for each in SHORTEST_FIRST if self.candles[each]
        ]
        lost = f", {self.lost} were lost" if self.lost else ""
        lacking = [
            each for each in SHORTEST_FIRST if each in self.wanted and not self.candles[each]
        ]
        missing = f", and none of {', '.join(lacking)}" if lacking and counted else ""
        return (
            f"{self.frames} frames{lost}; candles: {', '.join(counted) or 'none'}{missing}; "
            f"tickers: {self.tickers}"
        )
