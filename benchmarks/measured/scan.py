import time
from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import fill
from benchmarks.measurement import Measurement, median_seconds
from warmup.cache.candles import CandleCache
from warmup.scanner import CandleStatusScanner

SYMBOLS, PLANNED_SYMBOLS = 1000, 300
RUNS, PLAN_RUNS = 7, 5
TARGET_SECONDS, PLAN_TARGET_SECONDS = 0.3, 2


def measure(bench: Bench) -> Iterator[Measurement]:
    yield from _plan(bench)
    bench.redis.flushdb()
    exchange, symbols = bench.exchange(SYMBOLS)
    scanner = CandleStatusScanner(bench.redis, exchange.pk)
    what = f"scan of {SYMBOLS:,} symbols x 6"
    yield median_seconds(f"{what}, none cached", _scans(scanner, symbols, 6000), TARGET_SECONDS)
    fill(CandleCache(bench.redis, exchange.pk), symbols)
    yield median_seconds(f"{what}, all cached", _scans(scanner, symbols, 0), TARGET_SECONDS)


def _scans(scanner: CandleStatusScanner, symbols: list[str], missing: int) -> list[float]:
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        results = scanner.scan_exchange(symbols)
        seconds.append(time.perf_counter() - started)
        assert sum(result.needs_fetching for result in results) == missing
    return seconds


def _plan(bench: Bench) -> Iterator[Measurement]:
    what, target = f"warmup --plan of {PLANNED_SYMBOLS} symbols x 6", PLAN_TARGET_SECONDS
    with bench.sandbox(PLANNED_SYMBOLS) as sandbox:  # asked for its time, once there are candles
        exchange, symbols = bench.exchange(PLANNED_SYMBOLS, sandbox.url)
        yield median_seconds(f"{what}, none cached", _plans(bench, exchange.name), target)
        fill(CandleCache(bench.redis, exchange.pk), symbols)
        yield median_seconds(f"{what}, all cached", _plans(bench, exchange.name), target)
    yield median_seconds(f"{what}, the exchange away", _plans(bench, exchange.name))
    yield median_seconds("of which a command that does nothing", _plans(bench, None))


def _plans(bench: Bench, exchange: str | None) -> list[float]:
    arguments = ("warmup", exchange, "--plan") if exchange else ("warmup", "--help")
    return [bench.manage(*arguments)[0] for _ in range(PLAN_RUNS)]
