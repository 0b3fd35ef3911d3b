"""Bots that use ccxt, as most people's do, with nothing changed but its addresses."""

import asyncio
import re

import ccxt
import ccxt.pro

from tests.experiments.bots.bot import SECONDS_BETWEEN_TRIES, Bot, Place
from tests.experiments.bots.checks import faults_of_closed
from tests.experiments.bots.truth import Pair

SPOT_ALONE = {"options": {"fetchMarkets": {"types": ["spot"]}}}
STATUS = re.compile(r" (\d{3}) [A-Z]")
SILENT_SECONDS = 2.0
SETTLED_SECONDS = 8.0  # of ours: after so long a bar was closed, or is told as healed late


class CcxtBot(Bot):
    """Asks for the newest candles of a pair by `fetch_ohlcv`."""

    def __init__(
        self,
        place: Place,
        name: str,
        exchange: str,
        symbol: str,
        interval: str,
        limit: int = 100,
        every: float = 0.5,
        token: str = "",
    ):
        super().__init__(place, name, exchange, token)
        self._pair, self._limit, self._every = self.pair(symbol, interval), limit, every
        self._exchange = ccxt.binance(SPOT_ALONE)
        self._exchange.urls["api"]["public"] = f"{self.root}/{exchange}/api/v3"
        self._exchange.has["fetchCurrencies"] = False

    def turn(self) -> None:
        symbol, interval = self._pair.symbol.replace("-", "/"), self._pair.interval
        time = self.place.time
        try:
            self._exchange.load_markets()
            sent_ms = time.now_ms()
            rows = self._exchange.fetch_ohlcv(symbol, interval, limit=self._limit)
        except ccxt.BaseError as error:
            take_error(self, error)
            self.pause(SECONDS_BETWEEN_TRIES)
            return
        received_ms = time.now_ms()
        self.check_headers(self._exchange.last_response_headers, received_ms)
        self.compare(self._pair, rows, sent_ms, received_ms, limit=self._limit)
        self.pause(self._every)


def take_error(bot: Bot, error: ccxt.BaseError) -> None:
    """Learn from what ccxt raised what `serve` had answered, if it had."""
    text = str(error)
    if isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
        bot.found.answered(429, text, None)
    elif '"code":-1001' in text.replace(" ", "") or " 503 " in text:
        bot.found.answered(503, text, "1")  # ccxt tells nothing of the header
    elif isinstance(error, ccxt.NetworkError):
        bot.found.cut(error)
    else:
        status = STATUS.search(text)
        bot.found.answered(int(status[1]) if status else 0, f"{type(error).__name__}: {text}", None)


class CcxtProBot(Bot):
    """Watches the candles of a pair; where that fails, it begins anew as many do.

    ccxt tells no closing flag: a candle that others follow is compared some seconds later, and one
    that is not what it became was not closed on this socket.
    """

    def __init__(self, place: Place, name: str, exchange: str, symbol: str, interval: str):
        super().__init__(place, name, exchange)
        self._pair: Pair = self.pair(symbol, interval)
        self._told: dict[int, list] = {}  # the last word of each candle, on this connection

    def turn(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        exchange = ccxt.pro.binance(SPOT_ALONE)
        exchange.urls["api"]["public"] = f"{self.root}/{self.exchange}/api/v3"
        exchange.urls["api"]["ws"]["spot"] = f"{self.root}/{self.exchange}/stream".replace(
            "http", "ws", 1
        )
        exchange.has["fetchCurrencies"] = False
        self._told = {}
        try:
            while not self.place.ending.is_set():
                symbol, interval = self._pair.symbol.replace("-", "/"), self._pair.interval
                watching = asyncio.create_task(exchange.watch_ohlcv(symbol, interval))
                while not (await asyncio.wait([watching], timeout=SILENT_SECONDS))[0]:
                    self.found.failing()  # nobody streams, and the socket stays
                    if self.place.ending.is_set():
                        watching.cancel()
                        return
                self._take([list(row) for row in watching.result()])
        except ccxt.BaseError as error:
            if not self.place.ending.is_set():
                take_error(self, error)
        finally:
            await exchange.close()
        await asyncio.sleep(SECONDS_BETWEEN_TRIES)

    def _take(self, rows: list[list]) -> None:
        """Take candles that are new, or that have changed."""
        self.found.well()
        pair, time = self._pair, self.place.time
        now_ms = time.now_ms()
        self.found.rows += len(rows)
        self._told |= {row[0]: row for row in rows}
        newest = max(self._told)
        if newest > now_ms:
            self.found.fault(f"{pair.symbol} {pair.interval}: {newest} is in the future")
        self.was_open(pair, [self._told[newest]], now_ms)
        settled_ms = now_ms - int(SETTLED_SECONDS * 1000 * time.speed)
        for opened in sorted(self._told):
            if opened == newest or opened + pair.ms > settled_ms:
                return
            row, ended_ms = self._told.pop(opened), opened + pair.ms
            true = self.place.truth.closed(pair, opened, ended_ms).get(opened)
            self.found.closes += 1
            if any(faults_of_closed(row, true)):
                self.found.skipped.append((pair.symbol, pair.interval, opened))
                self.was_open(pair, [row], ended_ms)
