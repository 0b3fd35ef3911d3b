"""How verifying and repairing look on a terminal, and in a log where there is none."""

from typing import TextIO

from history.planning.report import TOO_OLD
from history.verifying.repair import RepairReport
from history.verifying.verification import VerifyReport
from warmup.terminal import Progress, print_failures

SHOWN = 20


class VerifyProgress(Progress):
    """Shows how many files were read, of how many."""

    def show(self, done: int, total: int, report: VerifyReport) -> None:
        text = f"{done:,}/{total:,} files · {report.bytes / 1e6:,.1f} MB"
        if report.differences:
            text += f" · {len(report.differences):,} differences"
        self._draw(done, total, text)


class RepairProgress(Progress):
    """Shows how many stretches were fetched again, of how many."""

    def show(self, done: int, total: int, report: RepairReport) -> None:
        text = f"{done:,}/{total:,} stretches · {report.candles:,} candles · {report.calls:,} calls"
        self._draw(done, total, text)


def print_verification(exchange: str, found: VerifyReport, stream: TextIO) -> None:
    """Print what was read, and what of it is not as it should be, a line each."""
    many = len(found.differences)
    stream.write(
        f"history of {exchange}: {found.files:,} files read with {found.rows:,} candles in "
        f"{found.bytes / 1e6:,.1f} MB, {f'{many:,} differences' if many else 'no difference'}\n"
    )
    if found.settled:
        stream.write(f"{found.settled:,} writes that were cut off are said to be done\n")
    for each in found.differences[:SHOWN]:
        stream.write(f"{each.kind}: {each.path}: {each.text}\n")
    if many > SHOWN:
        stream.write(f"… and {many - SHOWN:,} more; --json names all\n")


def print_repair(exchange: str, done: RepairReport, stream: TextIO) -> None:
    """Print what was done about it."""
    stream.write(
        f"repair of {exchange}: {len(done.set_aside):,} files set aside, {done.candles:,} candles "
        f"fetched again with {done.calls:,} calls, {len(done.adopted):,} files adopted\n"
    )
    for each in done.left[:SHOWN]:
        stream.write(f"left as it is: {each['path']}: {each['text']}\n")
    print_failures(done.failures, stream)
    lost = sum(each["reason"] == TOO_OLD for each in done.unknown)
    if lost:
        stream.write(f"{lost:,} stretches are not to be had again: {TOO_OLD}\n")
    if unknown := len(done.unknown) - lost:
        stream.write(f"{unknown:,} stretches are not known yet: `history` asks for them again\n")
