"""An exchange's bars and its REST side, played to a sink, and a Redis that fails."""

import threading

from redis.exceptions import ConnectionError as RedisGone

from exchanges.rest.reply import Candles, QuietBars
from exchanges.stream.events import CandleUpdate
from livermore.market.candle import Candle, Ticker
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.live.writing.flush import FLUSH

EXCHANGE, EPOCH = 7, 3
BTC, ETH = "BTC-USD", "ETH-USD"
M1, M5, M15, H1, D1 = Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.D1
PAIR = Pair(BTC, M1)
NOW = H1.floor(1_790_000_123_456)  # the open bar of every timeframe up to an hour begins here
STREAM, REST, OPEN = 1.0, 2.0, 0.5  # the volume of a bar tells who said it


def at(number, timeframe=M1):
    return NOW + number * timeframe.ms


def bar(number, volume=STREAM, timeframe=M1):
    return Candle(at(number, timeframe), 10.0, 12.0, 9.0, 11.0, volume, timeframe)


def closed(number, symbol=BTC, timeframe=M1):
    return CandleUpdate(symbol, bar(number, STREAM, timeframe), closed=True)


def still_open(number, symbol=BTC, timeframe=M1, volume=OPEN):
    return CandleUpdate(symbol, bar(number, volume, timeframe), closed=False)


class Rest:
    """An exchange that has every bar of `traded`, in any timeframe, and answers when it may.

    It is its own clock, which believes everything that it is told, but never goes back.
    """

    workers = 2
    quiet_bars = QuietBars.OMITS
    lag_ms = 600_000
    depth_rows = None

    def __init__(self):
        self.clock = self
        self.time_ms = NOW
        self.traded = range(-2000, 2000)
        self.asked = []
        self.error = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.doubt = lambda answer: None  # changes what is answered

    def now_ms(self):
        return self.time_ms

    def believed_ms(self):
        return self.time_ms

    apart_ms = 2000

    def is_due(self):
        return False

    def ask(self):
        if self.error:
            raise self.error

    def settle(self):
        pass

    def forget(self):
        pass

    def note_frame(self, time_ms):
        self.time_ms = max(self.time_ms, time_ms)

    def get_candles(self, symbol, timeframe, start_ms, end_ms, *, known, lane):
        self.asked.append((symbol, timeframe, start_ms, end_ms))
        self.may_answer.wait(10)
        if self.error:
            raise self.error
        numbers = range((start_ms - NOW) // timeframe.ms, (end_ms - NOW) // timeframe.ms)
        found = Candles(bar(n, REST, timeframe) for n in numbers if n in self.traded)
        found.asked = found.covered = ((start_ms, end_ms),)
        self.doubt(found)
        return found


class Stream:
    """A sink as a stream uses it: no bar is said to be closed before its end."""

    def __init__(self, sink):
        self._sink = sink

    def __getattr__(self, name):
        return getattr(self._sink, name)

    def candle(self, update):
        if update.closed:
            self._sink.clock(update.candle.close_time_ms)
        self._sink.candle(update)


class Unreliable:
    """A client of Redis whose flushes fail `times`: before they run, or their reply is lost."""

    def __init__(self, redis, times=0, runs=False):
        self._redis, self.times, self.runs = redis, times, runs

    def __getattr__(self, name):
        return getattr(self._redis, name)

    def evalsha(self, *arguments):
        if not self.times or arguments[0] != FLUSH.sha:
            return self._redis.evalsha(*arguments)
        self.times -= 1
        if self.runs:
            self._redis.evalsha(*arguments)
        raise RedisGone("the connection was lost")


def ticker(price, symbol=BTC):
    return Ticker(symbol, price, 1.0, 2.0, 30.0, 0.5, 100.0, NOW)
