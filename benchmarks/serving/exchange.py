"""An exchange that is all there: in the database, in Redis, and streamed, as its status says."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlencode

import orjson
from redis import Redis

from benchmarks.fixtures.bench import NOBODY, Bench
from benchmarks.fixtures.candles import newest
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import STATUS_TTL_MS, Holder, State, Status
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache

SECONDS_BETWEEN_SIGNS = 1.0
AFTER_MIDNIGHT_MS = 30_000  # where its clock stands: nothing closes while it is measured
KEYS = (keys.candles, keys.coverage, keys.live_candle)


def klines_path(word: str, timeframe: Timeframe, rows: int) -> str:
    """Return the path of the newest rows, as an exchange has it."""
    query = {"symbol": word, "interval": timeframe.value, "limit": rows}
    return f"/api/v3/klines?{urlencode(query)}"


class ServedExchange:
    """An exchange that nobody asks for anything, and whose clock stands still.

    `words` are its symbols as those who speak Binance's protocol know them.
    """

    def __init__(self, redis: Redis, number: int, name: str, symbols: Sequence[str]):
        self.redis, self.number, self.name, self.symbols = redis, number, name, symbols
        self.words = [symbol.replace("-", "") for symbol in symbols]
        self.now_ms = Timeframe.D1.floor(int(time.time() * 1000)) + AFTER_MIDNIGHT_MS

    @classmethod
    def of(cls, bench: Bench, symbols: int) -> "ServedExchange":
        """Return the sandbox's row with so many symbols."""
        exchange, names = bench.exchange(symbols, NOBODY)
        return cls(bench.redis, exchange.pk, exchange.name, names)

    def fill(self, timeframes: Sequence[Timeframe]) -> None:
        """Give each pair all the candles that are kept, and the open one."""
        cache, first = CandleCache(self.redis, self.number), self.symbols[0]
        for timeframe in timeframes:
            candles = newest(timeframe, CANDLES_KEPT, self.now_ms)
            until_ms = candles[-1].close_time_ms
            cache.write(first, timeframe, candles, ((candles[0].timestamp, until_ms),))
            live = replace(candles[-1], timestamp=until_ms)
            name = keys.live_candle(self.number, first, timeframe)
            self.redis.set(name, orjson.dumps(live.row()))
            pipe = self.redis.pipeline(transaction=False)
            for symbol in self.symbols[1:]:
                for each in KEYS:
                    pipe.copy(
                        each(self.number, first, timeframe),
                        each(self.number, symbol, timeframe),
                    )
            pipe.execute()

    @contextlib.contextmanager
    def streamed(self) -> Iterator[None]:
        """Have its lock, and say that it is streamed, as long as the block lasts."""
        self.lease = ExchangeLock(self.redis, self.number).acquire()
        self.lease.start()
        ended = threading.Event()
        self._say()

        def run() -> None:
            while not ended.wait(SECONDS_BETWEEN_SIGNS):
                self._say()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.lease.release()

    def _say(self) -> None:
        now_ms = int(time.time() * 1000)
        details = {"exchangeTime": self.now_ms, "connections": 1, "silent": 0}
        holder = Holder("benchmark", 1, "here", "127.0.0.1", 1, now_ms)
        said = Status(State.ACTIVE, heartbeat=now_ms, holder=holder, details=details)
        self.redis.set(keys.status(self.number), orjson.dumps(said.as_json()), px=STATUS_TTL_MS)

    def klines(self, word: str, timeframe: Timeframe, rows: int) -> str:
        """Return the path of the newest rows."""
        return f"/{self.name}{klines_path(word, timeframe, rows)}"
