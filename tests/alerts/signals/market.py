"""Candles that close as a runner lets them: in the cache, with coverage, and told by an event."""

import orjson

from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.indicator_window import ROW

BTC = Pair("BTC-USD", Timeframe.M1)
MINUTE_MS = Timeframe.M1.ms
FLAT = 100  # closes before the drop: MACD-V and its signal are zero
BEGIN_MS = 1_795_046_400_000  # 2026-11-19 00:00 UTC
HALF_RANGE = 0.5
HIGH, LOW = 100.0, 90.0  # prices before and after

# The price stands at 100, each bar one wide, then drops by 10 in one bar and stands again. n bars
# after, the averages are (11/13)^n and (25/27)^n of 10 away from it, ATR is 1 + 9.5/26 (25/26)^m
# with m = n - 1:
#   MACD-V = -1000 ((25/27)^n - (11/13)^n) / ATR, signal = signal before + (MACD-V - that) / 5
#
#   n    MACD    ATR    MACD-V  signal  histogram   5 % of |MACD-V|
#   3  -1.8801  1.3378  -140.5   -52.3    -88.2        7.0
#   4  -2.2241  1.3248  -167.9   -75.4    -92.4        8.4    beyond -150
#   5  -2.4683  1.3123  -188.1   -98.0    -90.1        9.4
#   6  -2.6314  1.3003  -202.4  -118.8    -83.5       10.1    beyond -200
#   …
#  16  -2.2284  1.2029  -185.3  -192.6      7.4        9.3
#  17  -2.1184  1.1951  -177.3  -189.6     12.3        8.9    turns: 12.3 is above 8.9
#  20  -1.7915  1.1734  -152.7  -175.0     22.3        7.6
#  21  -1.6870  1.1668  -144.6  -168.9     24.3        7.2    inside again
BEYOND_150, BEYOND_200, TURNS = 4, 6, 17


def opens(n):
    """Return when the n-th bar after the drop opens, the bar of the drop being the first."""
    return BEGIN_MS + (FLAT + n - 1) * MINUTE_MS


def closes_of_drop(count):
    """Return the closes of the flat bars and so many from the drop on."""
    return [HIGH] * FLAT + [LOW] * count


def candles(closes, begin_ms=BEGIN_MS, timeframe=Timeframe.M1):
    """Return a candle for each close; each opens at the close before."""
    found, before = [], closes[0]
    for at, close in enumerate(closes):
        top, bottom = max(before, close) + HALF_RANGE, min(before, close) - HALF_RANGE
        if before == close:
            top, bottom = close + HALF_RANGE, close - HALF_RANGE
        else:  # the drop: from 100.0 to 89.5
            top = max(before, close)
        time_ms = begin_ms + at * timeframe.ms
        found.append(Candle(time_ms, before, top, bottom, close, 1.0, timeframe))
        before = close
    return found


class Market:
    """One exchange's closes, written and told."""

    def __init__(self, redis, exchange_id):
        self.redis = redis
        self.number = exchange_id
        self.cache = CandleCache(redis, exchange_id)

    def write(self, candles, symbol=BTC.symbol):
        """Write candles that follow each other, with coverage, and tell nobody."""
        first, last = candles[0], candles[-1]
        covered = ((first.timestamp, last.close_time_ms),)
        self.cache.write(symbol, first.timeframe, candles, covered)

    def tell(self, candles, symbol=BTC.symbol, **more):
        """Tell closes."""
        pipe = self.redis.pipeline(transaction=False)
        for candle in candles:
            event = {"exchangeId": self.number, "symbol": symbol, "timeframe": candle.timeframe}
            event |= dict(zip(ROW, candle.values(), strict=True))
            event |= {"closed": True, "healed": False} | more
            pipe.xadd(keys.events(self.number), {"event": orjson.dumps(event)})
        pipe.execute()

    def close(self, candles, symbol=BTC.symbol, **more):
        """Write and tell closes."""
        self.write(candles, symbol)
        self.tell(candles, symbol, **more)
