from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement, median_seconds

SYMBOLS = 200
RUNS = 5
START_TARGET_SECONDS = 0.3


def measure(bench: Bench) -> Iterator[Measurement]:
    with bench.sandbox(SYMBOLS) as sandbox:
        exchange, symbols = bench.exchange(SYMBOLS, sandbox.url)
        bench.warm(exchange, symbols)
        sandbox.forget()
        what = f"warm restart of {SYMBOLS} symbols x 6"
        yield median_seconds(what, [bench.warm(exchange, symbols) for _ in range(RUNS)])
        yield Measurement("its candle calls", sandbox.candle_calls(), at_most=0)
        yield median_seconds(
            "the same with process start",
            [bench.manage("warmup", exchange.name)[0] for _ in range(RUNS)],
        )
        yield Measurement("its candle calls", sandbox.candle_calls(), at_most=0)
        yield median_seconds(
            "a command that shows an exchange, with process start",
            [bench.manage("exchange", exchange.name)[0] for _ in range(RUNS)],
            START_TARGET_SECONDS,
        )
