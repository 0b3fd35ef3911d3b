"""Which benchmarks there are, and which parts of them may be run alone.

Adding one is a line here and a module of that name below `benchmarks/measured/`, whose
`measure(bench)` yields measurements: see `benchmarks.fixtures.bench` for what it is given and
`benchmarks.measurement` for what it gives.
"""

from pathlib import Path

MEASURED = Path(__file__).parent / "measured"

BENCHMARKS = {
    "scan": "count what is cached of 1,000 symbols x 6; warmup --plan of 300, with process start",
    "warmup": "warm 25 and 200 symbols x 6, beside a plain loop (a minute)",
    "venues": "warm 25 symbols x 6 of each exchange, beside its limit alone (four minutes)",
    "restart": "warm 200 symbols x 6 that are all there",
    "memory": "the peak of the command warmup of 200 symbols x 6, and what a candle takes in Redis",
    "writes": "candles into the cache",
    "indicators": "MACD-V of 500 symbols x 6, from the cache and as all of them close at once",
    "alerts": "3,000 closes in one second against 50 rules about signals",
    "network": "a warmup of 100 symbols x 6 with 200 browsers looking, one frozen (three minutes)",
    "signals": "the Signals page of 1,000 symbols x 6 in a Chromium: painted, and then moving",
    "stream": "frames of 505 and 1,005 symbols x 6 into Redis, beside plain ways (five minutes)",
    "serving": "candles over HTTP and WebSocket from serve, beside other ways (four minutes)",
    "reader": "candles as DataFrames by the reader, beside what one writes without it",
    "history": "files, bulk files and following of history, heals beside a fill (four minutes)",
    "exchanges": "10 exchanges x 100 symbols, in one process and spread over many (five minutes)",
}

# These run with the benchmark that they are of, or where they are named.
PARTS = {
    "bulk": "of history: a year of minutes of 100 symbols from bulk files, and verifying it",
}


def module_of(name: str) -> str:
    """Return the dotted name of a benchmark's module, in whichever room it is."""
    [path] = MEASURED.rglob(f"{name}.py")
    return ".".join(("benchmarks.measured", *path.relative_to(MEASURED).with_suffix("").parts))
