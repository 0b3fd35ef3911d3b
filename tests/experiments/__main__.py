"""Run experiments and write down what they found: `python -m tests.experiments --help`."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from benchmarks import isolated_run
from benchmarks.command_line import make_parser, run_named
from livermore.running.embedded_redis import EmbeddedRedisError
from tests.experiments.document import (
    ROOT,
    Report,
    amend,
    duration,
    faults_shown,
    render,
    tried_commit,
)
from tests.experiments.outcome import Outcome
from tests.experiments.registry import EXPERIMENTS

DOCUMENT = ROOT / "docs" / "experiments.md"
SOAK_MINUTES_ALONE, SOAK_MINUTES_AMONG_OTHERS = 60, 10
LONGEST_SOAK_MINUTES = 10_000  # a week


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 all hold, 1 one does not, 2 wrong usage, 130 Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.amend and not (document := options.document or DOCUMENT).is_file():
        parser.error(f"--amend: {document} is not there to be amended")
    return run_named(options, EXPERIMENTS, lambda names: _run(names, options))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "./run experiments",
        "Try what Livermore promises, each promise in a process with a Redis and a "
        "database of its own. All of them take about an hour and write docs/experiments.md. "
        "Exit status: 0 all hold, 1 one does not or an experiment failed, 2 wrong usage.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a little of each, as the tests do it: two minutes"
    )
    parser.add_argument(
        "--soak-minutes",
        type=_minutes,
        metavar="N",
        help=f"how long the soak lasts (default: {SOAK_MINUTES_ALONE} where it runs alone, "
        f"{SOAK_MINUTES_AMONG_OTHERS} among others)",
    )
    parser.add_argument(
        "--kills",
        type=int,
        choices=range(1, 101),
        metavar="N",
        help="how often take_over kills an agent (default: 6)",
    )
    parser.add_argument(
        "--document",
        type=_document_file,
        metavar="FILE",
        help="where to write what was found (default: docs/experiments.md where all of them ran "
        "in full, else nowhere)",
    )
    parser.add_argument(
        "--amend",
        action="store_true",
        help="keep what the document (docs/experiments.md) says of the experiments that aren't run",
    )
    return parser


def _minutes(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (minutes := float(text)) <= LONGEST_SOAK_MINUTES:
            return minutes
    raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {LONGEST_SOAK_MINUTES:,}")


def _document_file(text: str) -> Path:
    """Refuse now what would be found out after half an hour."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} can't be written")
    return path


def _run(names: Sequence[str], options: argparse.Namespace) -> int:
    reports, commit = [], tried_commit()
    for name in names:
        print(f"{name}: {EXPERIMENTS[name]} …", file=sys.stderr, flush=True)
        reports.append(_report(name, _sizes(name, names, options)))
        _print(reports[-1])
    if document := _document(names, options):
        if tried_commit() != commit:
            commit += ", and something was changed while it ran"
        if options.amend:
            text = amend(document.read_text(), reports, _command(options), commit)
        else:
            text = render(reports, _command(options), commit)
        document.write_text(text)
        print(f"written: {document}")
    return 0 if all(report.holds for report in reports) else 1


def _sizes(name: str, names: Sequence[str], options: argparse.Namespace) -> str:
    """Return what the worker is told."""
    if options.quick:
        return "quick"
    if name == "take_over" and options.kills:
        return orjson.dumps({"kills": options.kills}).decode()
    if name != "soak":
        return "{}"
    usual = SOAK_MINUTES_ALONE if len(names) == 1 else SOAK_MINUTES_AMONG_OTHERS
    return orjson.dumps({"minutes": options.soak_minutes or usual}).decode()


def _report(name: str, sizes: str) -> Report:
    outcome, error, started = None, "", time.monotonic()
    try:
        found = isolated_run.output_of("tests.experiments.worker", name, sizes)
        outcome = Outcome(**orjson.loads(found))
    except (isolated_run.BenchmarkError, EmbeddedRedisError) as failure:
        error = str(failure)
    return Report(name, time.monotonic() - started, outcome, error)


def _print(report: Report) -> None:
    print(f"{report.name}: {report.verdict} ({duration(report.seconds)})")
    if report.outcome is None:
        print(report.error)
        return
    for fault in faults_shown(report.outcome):
        print(f"  AGAINST IT: {fault}")
    for what, value in report.outcome.numbers.items():
        print(f"  {what}: {value}")


def _document(names: Sequence[str], options: argparse.Namespace) -> Path | None:
    whole = not options.quick and len(names) == len(EXPERIMENTS)
    return options.document or (DOCUMENT if whole or options.amend else None)


def _command(options: argparse.Namespace) -> str:
    """Return what a person types to repeat the run."""
    words = ["./run experiments", *options.names, *(["--quick"] if options.quick else [])]
    words += ["--soak-minutes", f"{options.soak_minutes:g}"] if options.soak_minutes else []
    words += ["--kills", str(options.kills)] if options.kills else []
    words += ["--document FILE"] if options.document else []
    words += ["--amend"] if options.amend else []
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
