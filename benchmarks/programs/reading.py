"""What a notebook waits for, beside what one writes without a reader: `reading.py URL EXCHANGE`.

It knows the reader, Redis and pandas alone, and prints what it found as JSON, in milliseconds.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import livermore_reader
import pandas as pd
import redis

TIMEFRAME, RUNS = "1h", 15
COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]
IMPORT = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


class Plain:
    """What one writes first: no word of what is missing, and a round trip for each pair."""

    def __init__(self, url: str, number: int):
        self._client, self._number = redis.Redis.from_url(url), number

    def candles(self, symbol: str, count: int) -> pd.DataFrame:
        key = f"candles:{self._number}:{symbol}:{TIMEFRAME}"
        rows = [json.loads(each)[:6] for each in self._client.zrange(key, -count, -1)]
        frame = pd.DataFrame(rows, columns=COLUMNS)
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="ms", utc=True)
        return frame.set_index("timestamp")

    def panel(self, symbols: list[str], count: int) -> pd.DataFrame:
        return pd.DataFrame({each: self.candles(each, count)["close"] for each in symbols})

    def coverage(self, symbols: list[str]) -> list[list]:
        key = f"coverage:{self._number}:{{}}:{TIMEFRAME}".format
        return [json.loads(self._client.get(key(each)) or "[]") for each in symbols]


def measure(url: str, name: str) -> Iterator[dict]:
    lm = livermore_reader.connect(url)
    symbols = sorted({symbol for symbol, _ in lm.pairs(name)})
    (number,) = (each.number for each in lm.exchanges() if each.name == name)
    plain = Plain(url, number)

    def candles() -> None:
        assert len(lm.candles(name, symbols[0], TIMEFRAME, 1000, strict=True)) == 1000

    def panel() -> None:
        assert lm.panel(name, symbols[:100], TIMEFRAME, 500, strict=True).shape == (500, 100)

    def freshness() -> None:
        found = lm.newest(name, timeframes=[TIMEFRAME])
        assert len(found) == 500 and not any(each.is_stale for each in found)

    yield ms("1,000 candles as a DataFrame", candles, "candles")
    yield ms("the same by json.loads of each row", lambda: plain.candles(symbols[0], 1000))
    yield ms("100 pairs x 500 as one DataFrame", panel, "panel")
    yield ms("the same, a pair at a time", lambda: plain.panel(symbols[:100], 500))
    yield ms("freshness of 500 pairs", freshness, "freshness")
    yield ms("their coverage alone, a pair at a time", lambda: plain.coverage(symbols))
    yield imported("livermore_reader", "import")
    yield imported("redis")
    yield imported("pandas")


def ms(what: str, do: Callable[[], object], target: str = "") -> dict:
    """Return the median of some runs, behind one that is not counted."""
    do()
    runs = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        do()
        runs.append(time.perf_counter() - begun)
    return told(what, runs, target)


def imported(module: str, target: str = "") -> dict:
    """Return how long an import takes a Python that has only just begun."""
    command = [sys.executable, "-c", IMPORT.format(module)]
    runs = [float(subprocess.check_output(command)) for _ in range(RUNS)]
    return told(f"import {module}", runs, target)


def told(what: str, runs: list[float], target: str) -> dict:
    in_ms = [each * 1000 for each in runs]
    note = f"{len(runs)} runs, {min(in_ms):.3g} to {max(in_ms):.3g} ms"
    return {"what": what, "value": statistics.median(in_ms), "note": note, "target": target}


if __name__ == "__main__":
    print(json.dumps(list(measure(*sys.argv[1:]))))
