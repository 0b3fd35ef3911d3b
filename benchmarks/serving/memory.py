"""What memory serving takes where all pairs of many symbols are asked for."""

from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.serving.cores import Cores
from benchmarks.serving.exchange import ServedExchange
from benchmarks.serving.load import flat, once
from benchmarks.serving.servers import serve
from livermore.market.timeframe import Timeframe

SYMBOLS, ROWS = 1000, 500
CONNECTIONS, SECONDS = 8, 10.0
MOST_MB = 300
MB = 1_000_000


def measure(bench: Bench, cores: Cores) -> Iterator[Measurement]:
    exchange = ServedExchange.of(bench, SYMBOLS)
    exchange.fill(tuple(Timeframe))
    paths = [
        exchange.klines(word, timeframe, ROWS) for timeframe in Timeframe for word in exchange.words
    ]
    with exchange.streamed(), serve(cores) as server:
        idle = server.memory_bytes()
        first = once(server.port, paths, 1).check()
        memory = server.memory_bytes()
        again = flat(server.port, paths, CONNECTIONS, SECONDS)
        memory = max(memory, server.memory_bytes())
    bench.redis.flushdb()
    what = f"memory of serve, {len(exchange.symbols):,} symbols x {len(Timeframe)} asked for"
    note = f"{idle / MB:.0f} MB before anything was"
    yield Measurement(what, memory / MB, "MB", MOST_MB, note)
    note = f"p50 {first.p50:.1f} ms, p99 {first.p99:.1f} ms"
    yield Measurement("its first answers of each pair", first.per_second, "/s", note=note)
    note = f"of all {len(paths):,} pairs in turn"
    yield Measurement("its answers after that", again.per_second, "/s", note=note)
