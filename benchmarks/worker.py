"""The process of one benchmark: `python -m benchmarks.worker NAME` prints its figures as JSON."""

import sys
from dataclasses import asdict
from importlib import import_module

import django
import orjson


def main(name: str) -> None:
    django.setup()
    # Both need Django's models, which can be imported from here on only.
    bench = import_module("benchmarks.bench").Bench()
    benchmark = import_module(f"benchmarks.{name}")
    with import_module("livermore.command").ending_signals_raise():
        figures = [asdict(figure) for figure in benchmark.measure(bench)]
    sys.stdout.buffer.write(orjson.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
