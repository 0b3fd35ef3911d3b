"""How filling history looks on a terminal, and in a log where there is none."""

import time
from typing import TextIO

from history.filling import FillPlan, FillReport
from warmup.terminal import Progress, print_failures

UNKNOWN_SHOWN = 5


class FillProgress(Progress):
    """Shows how many stretches are fetched, of how many."""

    def show(self, done: int, total: int, report: FillReport) -> None:
        text = f"{report.candles:,} candles · {report.calls:,} calls"
        self._draw(done, total, text)


def print_fill(exchange: str, report: FillReport, stream: TextIO) -> None:
    """Print how filling ended, and the first of what failed and of what nobody knows."""
    stream.write(
        f"history of {exchange}: {report.candles:,} candles fetched with {report.calls:,} calls\n"
    )
    print_failures(report.failures, stream)
    for each in report.unknown[:UNKNOWN_SHOWN]:
        stretch = f"{_text(each['from'])} to {_text(each['to'])}"
        stream.write(f"unknown: {each['symbol']} {each['timeframe']} {stretch}\n")
    if len(report.unknown) > UNKNOWN_SHOWN:
        stream.write(f"… and {len(report.unknown) - UNKNOWN_SHOWN} more stretches\n")


def print_fill_plan(exchange: str, found: FillPlan, stream: TextIO) -> None:
    """Print what filling would cost, on one line."""
    stream.write(
        f"history of {exchange}: at most {found.candles:,} candles, {found.calls:,} calls, "
        f"{found.minutes:,.1f} minutes, {found.bytes / 1e6:,.1f} MB\n"
    )


def _text(time_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time_ms / 1000))
