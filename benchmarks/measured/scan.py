import time
from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import fill
from benchmarks.measurement import Measurement, median_seconds
from warmup.cache.candles import CandleCache
from warmup.scanner import CandleStatusScanner

SYMBOLS = 1000
RUNS = 7
TARGET_SECONDS = 0.3


def measure(bench: Bench) -> Iterator[Measurement]:
    exchange, symbols = bench.exchange(SYMBOLS)
    scanner = CandleStatusScanner(bench.redis, exchange.pk)
    what = f"scan of {SYMBOLS:,} symbols x 6"
    yield median_seconds(f"{what}, none cached", _runs(scanner, symbols, 6000), TARGET_SECONDS)
    fill(CandleCache(bench.redis, exchange.pk), symbols)
    yield median_seconds(f"{what}, all cached", _runs(scanner, symbols, 0), TARGET_SECONDS)


def _runs(scanner: CandleStatusScanner, symbols: list[str], missing: int) -> list[float]:
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        results = scanner.scan_exchange(symbols)
        seconds.append(time.perf_counter() - started)
        assert sum(result.needs_fetching for result in results) == missing
    return seconds
