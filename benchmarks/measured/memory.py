from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement

SYMBOLS = 200
TARGET_MB = 150
MB = 1_000_000


def measure(bench: Bench) -> Iterator[Measurement]:
    # A new process counts the peak of the one it was forked from as its own: nothing is warmed
    # in this one, which therefore stays smaller than the command.
    with bench.sandbox(SYMBOLS) as sandbox:
        exchange, _ = bench.exchange(SYMBOLS, sandbox.url)
        _, idle = bench.manage("warmup", "--help")
        seconds, peak = bench.manage("warmup", exchange.name)
        assert sandbox.candle_calls() >= 6 * SYMBOLS
    what = f"peak memory, warmup of {SYMBOLS} symbols x 6"
    note = f"the command took {seconds:.3g} s with process start"
    yield Measurement(what, peak / MB, "MB", TARGET_MB, note)
    yield Measurement("of which a command that does nothing", idle / MB, "MB")
