"""The process of one benchmark: `python -m benchmarks.programs.worker NAME FOLDER [thorough]`.

It prints its measurements as JSON. FOLDER is that of its Redis.
"""

import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import django
import orjson

from benchmarks.registry import module_of
from livermore.command import ending_signals_raise
from livermore.running import embedded_redis


def main(name: str, folder: Path, thorough: bool) -> None:
    # A user of the server too: it ends with this process where the one that started it is gone.
    with ending_signals_raise(), embedded_redis.ensure_running(folder):
        django.setup()
        # Both need Django's models, which can be imported from here on only.
        bench = import_module("benchmarks.fixtures.bench").Bench(thorough)
        benchmark = import_module(module_of(name))
        measurements = [asdict(measurement) for measurement in benchmark.measure(bench)]
    sys.stdout.buffer.write(orjson.dumps(measurements))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), "thorough" in sys.argv[3:])
