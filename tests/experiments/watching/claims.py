"""Whether the cache ever claims to have what it has not, looked at again and again."""

import threading
from contextlib import contextmanager

import orjson
from redis.exceptions import RedisError

from exchanges.redis.client import own_client
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST
from tests.warmup.runners import SYMBOLS, true_rows

SECONDS_BETWEEN = 0.2
BARS_LOOKED_AT = 30  # of each stretch the newest: what is told falsely is told at its end
TIMEOUT_SECONDS = 1.0


class Claims:
    """What coverage said of the newest bars, and where the bars were not there."""

    def __init__(self, redis, sandbox, row):
        self._redis = own_client(redis, TIMEOUT_SECONDS)
        self._sandbox, self._row = sandbox, row
        self.looks = self.failed_looks = 0
        self.false = []

    def look(self):
        """Compare every pair's coverage with what is stored and with what is true."""
        for symbol in SYMBOLS:
            for timeframe in LONGEST_FIRST:
                self._compare(symbol, timeframe)
        self.looks += 1

    def _compare(self, symbol, timeframe):
        pipe = self._redis.pipeline()  # both at one time
        pipe.get(keys.coverage(self._row.pk, symbol, timeframe))
        pipe.zrange(keys.candles(self._row.pk, symbol, timeframe), -BARS_LOOKED_AT, -1)
        coverage, members = pipe.execute()
        stored = [orjson.loads(member) for member in members]
        for start_ms, end_ms in orjson.loads(coverage or b"[]"):
            start_ms = max(start_ms, stored[0][0] if len(stored) == BARS_LOOKED_AT else 0)
            begins_ms = max(start_ms, end_ms - BARS_LOOKED_AT * timeframe.ms)
            true = true_rows(self._sandbox, self._row, symbol, timeframe, begins_ms, end_ms)
            lacking = [row[0] for row in true if row not in stored]
            if lacking:
                self.false.append(f"{symbol} {timeframe}: claims {lacking} and lacks or alters it")
            if end_ms > self._sandbox.clock.now_ms():
                self.false.append(f"{symbol} {timeframe}: claims the future until {end_ms}")


@contextmanager
def watched_claims(redis, sandbox, row):
    """Look for false claims as long as the block lasts, whenever Redis answers."""
    claims, ending = Claims(redis, sandbox, row), threading.Event()

    def watch():
        while not ending.wait(SECONDS_BETWEEN):
            try:
                claims.look()
            except RedisError:
                claims.failed_looks += 1

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield claims
    finally:
        if not thread.is_alive():
            claims.false.append("the watch has ended by a fault of its own")
        ending.set()
        thread.join(10)
