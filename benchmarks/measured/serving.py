from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.serving import bots, klines, memory, streams
from benchmarks.serving.cores import Cores


def measure(bench: Bench) -> Iterator[Measurement]:
    """Measure `serve` on a core of its own; Redis, clients and all else share the others."""
    cores = Cores()
    with cores.others(bench.redis.info("server")["process_id"]):
        for each in (klines, streams, bots, memory):
            yield from each.measure(bench, cores)
