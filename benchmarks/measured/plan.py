from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import fill
from benchmarks.measurement import Measurement, median_seconds
from warmup.cache.candles import CandleCache

SYMBOLS = 300
RUNS = 5
TARGET_SECONDS = 2


def measure(bench: Bench) -> Iterator[Measurement]:
    what = f"warmup --plan of {SYMBOLS} symbols x 6"
    with bench.sandbox(SYMBOLS) as sandbox:  # it is asked for its time, once candles are there
        exchange, symbols = bench.exchange(SYMBOLS, sandbox.url)
        yield median_seconds(f"{what}, none cached", _runs(bench, exchange.name), TARGET_SECONDS)
        fill(CandleCache(bench.redis, exchange.pk), symbols)
        yield median_seconds(f"{what}, all cached", _runs(bench, exchange.name), TARGET_SECONDS)
    yield median_seconds(f"{what}, the exchange away", _runs(bench, exchange.name))
    yield median_seconds("of which a command that does nothing", _runs(bench, None))


def _runs(bench: Bench, exchange: str | None) -> list[float]:
    arguments = ("warmup", exchange, "--plan") if exchange else ("warmup", "--help")
    return [bench.manage(*arguments)[0] for _ in range(RUNS)]
