"""What is true of a pair at the sandbox, and what time it is there, for any process."""

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

import requests

DECIMALS = 10**8  # of volumes, and of the other columns
KEPT = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440}  # in minutes
MADE = {"3m": ("1m", 3), "30m": ("15m", 2), "2h": ("1h", 2), "6h": ("1h", 6),
        "8h": ("4h", 2), "12h": ("4h", 3)}  # fmt: skip

Row = list


class ExchangeTime(NamedTuple):
    """The sandbox's clock, as its own process reads it: by the one that all processes share."""

    origin_ms: int
    started: float
    speed: float

    def now_ms(self) -> int:
        return self.origin_ms + int((time.monotonic() - self.started) * self.speed * 1000)


class Pair(NamedTuple):
    """A symbol in a timeframe; of a venue that `omits` quiet bars and tells six numbers of each."""

    symbol: str
    interval: str
    omits: bool = False

    @property
    def ms(self) -> int:
        base, count = MADE.get(self.interval, (self.interval, 1))
        return KEPT[base] * count * 60_000

    def floor(self, time_ms: int) -> int:
        return time_ms - time_ms % self.ms

    def ceil(self, time_ms: int) -> int:
        return -(-time_ms // self.ms) * self.ms


class Truth:
    """Closed candles as `/sandbox/truth` tells them, each asked for once. Threads may share it."""

    def __init__(self, url: str, exchange_time: ExchangeTime):
        self._url, self.time = url, exchange_time
        self._session = requests.Session()
        self._known: dict[Pair, tuple[int, int, list[int], list[Row]]] = {}
        self._lock = threading.Lock()

    def closed(self, pair: Pair, start_ms: int, end_ms: int) -> Mapping[int, Row]:
        """Return the candles that open in `[start_ms, end_ms)` and are closed now, by open time."""
        start_ms, end_ms = pair.ceil(start_ms), min(end_ms, pair.floor(self.time.now_ms()))
        if end_ms <= start_ms:
            return {}
        if pair.interval in MADE:
            base = pair._replace(interval=MADE[pair.interval][0])
            return joined(self.closed(base, start_ms, pair.ceil(end_ms)), pair)
        with self._lock:
            since_ms, until_ms, times, rows = self._known.get(pair, (start_ms, start_ms, [], []))
            if start_ms < since_ms:
                before = self._ask(pair, start_ms, since_ms)
                times, rows = [row[0] for row in before] + times, before + rows
                since_ms = start_ms
            if end_ms > until_ms:
                behind = self._ask(pair, until_ms, end_ms)
                times, rows = times + [row[0] for row in behind], rows + behind
                until_ms = end_ms
            self._known[pair] = since_ms, until_ms, times, rows
        first, last = bisect_left(times, start_ms), bisect_left(times, end_ms)
        return dict(zip(times[first:last], rows[first:last], strict=True))

    def _ask(self, pair: Pair, start_ms: int, end_ms: int) -> list[Row]:
        query = {
            "symbol": pair.symbol,
            "timeframe": pair.interval,
            "start": start_ms,
            "end": end_ms,
            "traded": int(pair.omits),
            "columns": int(not pair.omits),
        }
        answer = self._session.get(f"{self._url}/sandbox/truth", params=query, timeout=60)
        answer.raise_for_status()
        rows = answer.json()
        return [[*row, *[None] * 4] for row in rows] if pair.omits else rows


def joined(parts: Mapping[int, Row], pair: Pair) -> dict[int, Row]:
    """Return the candles of a longer timeframe that these make up, each added up in whole units."""
    found: dict[int, list[Row]] = {}
    for opened, row in parts.items():
        found.setdefault(pair.floor(opened), []).append(row)
    return {
        opened: [
            opened,
            rows[0][1],
            max(row[2] for row in rows),
            min(row[3] for row in rows),
            rows[-1][4],
            _sum(rows, 5),
            *([None] * 4 if pair.omits else _columns(rows)),
        ]
        for opened, rows in found.items()
    }


def _columns(rows: list[Row]) -> list:
    return [_sum(rows, 6), sum(row[7] for row in rows), _sum(rows, 8), _sum(rows, 9)]


def _sum(rows: list[Row], column: int) -> float:
    return sum(round(row[column] * DECIMALS) for row in rows) / DECIMALS
