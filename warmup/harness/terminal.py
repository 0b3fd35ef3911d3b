"""How a check looks on a terminal, and in a log where there is none."""

from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warmup.harness.check import ExchangeCheck
from warmup.harness.report import CheckReport, Result, Step
from warmup.terminal import Progress

COLOURS = {Result.PASS: "green", Result.FAIL: "bold red", Result.SKIP: "yellow"}
PIPED_WIDTH = 120


class CheckProgress(Progress):
    """Shows how far a check is."""

    def __init__(self, title: str, stream: TextIO):
        super().__init__(title, stream)
        self._done = 0

    def show(self, step: Step) -> None:
        self._done += 1
        total = ExchangeCheck.steps_total
        self._draw(self._done, total, f"{self._done}/{total} steps, {step.title}: {step.result}")


def print_check(report: CheckReport, stream: TextIO) -> None:
    """Print a check as a table, then what to do, a line each, and the sum."""
    table = Table(title=f"check of {report.exchange}")
    table.add_column("step")
    table.add_column("result")
    table.add_column("seconds", justify="right")
    table.add_column("what was found", overflow="fold")
    for step in report.steps:
        result = Text(step.result, style=COLOURS[step.result])
        table.add_row(step.title, result, f"{step.seconds:.1f}", Text(step.detail))
    # Piped output has no width of its own.
    width = None if Console(file=stream).is_terminal else PIPED_WIDTH
    console = Console(file=stream, width=width)
    with console.capture() as captured:  # left to itself it would hide that a pipe is closed
        console.print(table)
    stream.write(captured.get())
    for step in report.steps:
        if step.remedy:
            what = "to do" if step.result is Result.FAIL else "note"
            stream.write(f"{what}: {step.title}: {step.remedy}\n")
    stream.write(_sum(report))


def _sum(report: CheckReport) -> str:
    seconds = sum(step.seconds for step in report.steps)
    counts = (report.count(each) for each in Result)
    numbers = "{} passed, {} failed, {} skipped".format(*counts)
    with_symbol = f" with {report.symbol}" if report.symbol else ""
    return f"{report.exchange}{with_symbol}: {numbers} in {seconds:.1f} s\n"
