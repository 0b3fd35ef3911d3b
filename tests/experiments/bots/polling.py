"""Bots that ask over HTTP again and again, each for its candles, as a program without a library."""

import random
from typing import Any

import requests

from tests.experiments.bots.bot import Bot, Place, numbers
from tests.experiments.bots.checks import GRACE_MS
from tests.experiments.bots.truth import Row

TIMEOUT_SECONDS = 40
MOST_BUCKETS = 350  # of Coinbase's protocol
WAIT_MS = 5_000


class Poller(Bot):
    """Asks for the newest klines of a pair, a few times a second."""

    def __init__(
        self,
        place: Place,
        name: str,
        exchange: str,
        symbol: str,
        interval: str,
        limit: int = 100,
        every: float = 0.4,
        token: str = "",
    ):
        super().__init__(place, name, exchange, token)
        self.asked_pair, self.limit, self.every = self.pair(symbol, interval), limit, every
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def turn(self) -> None:
        self.ask()
        self.pause(self.every)

    def ask(self) -> None:
        query = self.query() | {"limit": self.limit}
        self.get("klines", query, limit=self.limit)

    def query(self) -> dict[str, Any]:
        pair = self.asked_pair
        return {"symbol": pair.symbol.replace("-", ""), "interval": pair.interval}

    def get(self, path: str, query: dict[str, Any], **asked: Any) -> None:
        """Ask for what `asked` says, and compare it."""
        address = self.address(path)
        sent_ms = self.place.time.now_ms()
        try:
            reply = self._session.get(address, params=query, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            self.found.cut(error)
            self.pause(0.2)
            return
        received_ms = self.place.time.now_ms()
        if reply.status_code != 200:
            retry_after = reply.headers.get("Retry-After")
            self.found.answered(reply.status_code, reply.text, retry_after)
            return
        self.check_headers(reply.headers, received_ms)
        rows = self.rows(reply.json())
        waited = (received_ms - sent_ms) / 1000 / self.place.time.speed
        asked["grace_ms"] = self.grace_ms(waited)
        self.compare(self.asked_pair, rows, sent_ms, received_ms, **asked)

    def grace_ms(self, waited: float) -> int:
        """Return how long after its end a bar may be missing in an answer that took so long."""
        return GRACE_MS

    def address(self, path: str) -> str:
        return f"{self.place.url}/{self.exchange}/api/v3/{path}"

    def rows(self, content: Any) -> list[Row]:
        return [numbers(row) for row in content]


class Waiter(Poller):
    """Asks just after a bar's end, and lets the answer be held until that bar is in."""

    def turn(self) -> None:
        pair, time = self.asked_pair, self.place.time
        ended_ms = pair.ceil(time.now_ms() + 1) + self.place.slack_ms
        self.pause((ended_ms - time.now_ms()) / 1000 / time.speed)
        if not self.place.ending.is_set():
            query = self.query() | {"limit": self.limit, "livermoreWait": WAIT_MS}
            self.get("klines", query, limit=self.limit)

    def grace_ms(self, waited: float) -> int:
        return 0 if 1000 * waited < WAIT_MS else GRACE_MS


class Historian(Poller):
    """Asks for stretches of the past that the cache has, and at times for older ones."""

    OLDER = 0.1  # the share of those

    def ask(self) -> None:
        pair, now_ms = self.asked_pair, self.place.time.now_ms()
        bars = random.randint(1, 200)
        back = random.randint(1100, 3000) if random.random() < self.OLDER else None
        back = back or random.randint(bars + 10, 600)
        start_ms = pair.floor(now_ms) - back * pair.ms
        end_ms = start_ms + bars * pair.ms - 1
        query = self.query() | {"startTime": start_ms, "endTime": end_ms, "limit": 1000}
        self.get("klines", query, limit=1000, start_ms=start_ms, end_ms=end_ms)


class CoinbasePoller(Poller):
    """Asks in Coinbase's protocol, with a start and an end."""

    NAMES = {"1m": "ONE_MINUTE", "5m": "FIVE_MINUTE", "15m": "FIFTEEN_MINUTE", "1h": "ONE_HOUR"}

    def ask(self) -> None:
        pair, now_ms = self.asked_pair, self.place.time.now_ms()
        end_ms = now_ms - now_ms % 1000
        start_ms = pair.floor(end_ms) - (self.limit - 1) * pair.ms
        query = {
            "granularity": self.NAMES[pair.interval],
            "start": start_ms // 1000,
            "end": end_ms // 1000,
        }
        self.get("candles", query, limit=MOST_BUCKETS, start_ms=start_ms, end_ms=end_ms)

    def address(self, path: str) -> str:
        product = self.asked_pair.symbol
        root = f"{self.place.url}/{self.exchange}/api/v3/brokerage"
        return f"{root}/market/products/{product}/{path}"

    def rows(self, content: Any) -> list[Row]:
        names = ("open", "high", "low", "close", "volume")
        told = [
            [int(row["start"]) * 1000, *(float(row[name]) for name in names)]
            for row in content["candles"]
        ]
        return told[::-1]


class NativePoller(Poller):
    """Asks `/v1/candles`, whose candles are all closed."""

    def ask(self) -> None:
        pair = self.asked_pair
        query = {
            "exchange": self.exchange,
            "symbol": pair.symbol,
            "timeframe": pair.interval,
            "limit": self.limit,
        }
        self.get("candles", query, limit=self.limit, closed_alone=True)

    def address(self, path: str) -> str:
        return f"{self.place.url}/v1/{path}"

    def rows(self, content: Any) -> list[Row]:
        if not content["complete"]:
            self.found.fault("an answer that does not claim to be complete")
        return content["candles"]
