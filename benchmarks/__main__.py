"""Run benchmarks and print what they found: `python -m benchmarks --help`."""

import argparse
import contextlib
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import isolated_run
from benchmarks.command_line import make_parser, run_named
from benchmarks.measurement import Measurement
from benchmarks.registry import BENCHMARKS, PARTS
from livermore.running.embedded_redis import EmbeddedRedisError

COLUMNS = ("benchmark", "measured", "measurement", "note", "target", "holds")
PIPED_WIDTH = 160


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 all targets hold, 1 one does not, 2 wrong usage, 130 Ctrl-C."""
    options = _parser().parse_args(arguments)
    run = lambda names: _run(names, options.thorough)  # noqa: E731
    return run_named(options, BENCHMARKS, run, PARTS)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "./run bench",
        "Measure Livermore on this machine, apart from all that it keeps: each "
        "benchmark has a process, a Redis and a database of its own, for as long as it lasts. "
        "Exit status: 0 all targets hold, 1 one does not or a benchmark failed, 2 wrong usage.",
    )
    parser.add_argument(
        "--thorough", action="store_true", help="stream for ten minutes instead of one"
    )
    return parser


def _run(names: Sequence[str], thorough: bool) -> int:
    found: dict[str, list[Measurement]] = {}
    failures: dict[str, Exception] = {}
    for name in names:
        print(f"{name}: {(BENCHMARKS | PARTS)[name]} …", file=sys.stderr, flush=True)
        try:
            found[name] = isolated_run.run(name, thorough)
        except (isolated_run.BenchmarkError, EmbeddedRedisError) as error:
            failures[name] = error
    if found:
        _print(found)
    for name, error in failures.items():
        print(f"{name} failed: {error}", file=sys.stderr)
    missed = any(
        not measurement.holds for measurements in found.values() for measurement in measurements
    )
    return 1 if failures or missed else 0


def _print(found: dict[str, list[Measurement]]) -> None:
    table = Table()
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("measurement", "target") else "left")
    for name, measurements in found.items():
        for measurement in measurements:
            table.add_row(name, *measurement.row())
            name = ""
        table.add_section()
    # Piped output has no width of its own, and rich would take 80 columns.
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(width=width).print(table)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))
