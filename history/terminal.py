"""How filling history looks on a terminal, and in a log where there is none."""

import time
from collections.abc import Sequence
from typing import Any, TextIO

from history.planning.plan import Cost, FillPlan
from history.planning.report import TOO_OLD, ArchiveReport, FillReport
from warmup.terminal import Progress, print_failures

SHARE_THAT_TELLS = 0.01  # how much is to be done until it says something of the rest
SHOWN = 5  # of each kind of what is wrong


class FillProgress(Progress):
    """Shows how many bars are done, what that took so far, and how long the rest may take."""

    def show(self, done: int, total: int, report: FillReport) -> None:
        self._draw(done, total, describe(done, total, report))


def describe(done: int, total: int, report: FillReport) -> str:
    """Return the numbers of a run that goes on, on one line."""
    parts = [
        f"{report.candles:,} candles",
        f"{report.calls:,} calls",
        f"weight {report.weight:,} ({report.weight_per_minute:,.0f} a minute)",
    ]
    if report.archives.octets:
        parts.append(f"{report.archives.files:,} files {_size(report.archives.octets)}")
    parts.append(f"{_size(report.written)} written")
    if done and done >= total * SHARE_THAT_TELLS:
        parts.append(f"at most {_duration(report.seconds * (total - done) / done)} left")
    return " · ".join(parts)


def print_fill(exchange: str, report: FillReport, stream: TextIO) -> None:
    """Print how filling ended, and the first of what failed and of what nobody knows."""
    stream.write(
        f"history of {exchange}: {report.candles:,} candles fetched with {report.calls:,} calls, "
        f"weight {report.weight:,}, {_size(report.written)} written in "
        f"{_duration(report.seconds)}\n"
    )
    _print_archives(report.archives, stream)
    print_failures(report.failures, stream)
    _print_stretches("not to be had", [each for each in report.unknown if _is_lost(each)], stream)
    _print_stretches("unknown", [each for each in report.unknown if not _is_lost(each)], stream)


def _is_lost(unknown: dict[str, Any]) -> bool:
    return unknown["reason"] == TOO_OLD


def _print_stretches(what: str, stretches: Sequence[dict[str, Any]], stream: TextIO) -> None:
    for each in stretches[:SHOWN]:
        stretch = f"{_text(each['from'])} to {_text(each['to'])}"
        why = f": {TOO_OLD}" if _is_lost(each) else ""
        stream.write(f"{what}: {each['symbol']} {each['timeframe']} {stretch}{why}\n")
    _print_more(len(stretches), "stretches", stream)


def _print_archives(report: ArchiveReport, stream: TextIO) -> None:
    if report.files or report.refused:
        stream.write(
            f"of these {report.candles:,} from {report.files:,} bulk files, "
            f"{_size(report.octets)}; {report.refused_rows:,} rows refused\n"
        )
    if report.trouble:
        stream.write(f"no more bulk files were asked for: {report.trouble}\n")
    for each in report.refused[:SHOWN]:
        name = f"{each['symbol']} {each['timeframe']} {each['file']}"
        stream.write(f"not believed: {name}: {each['reason']}\n")
    _print_more(len(report.refused), "files", stream)
    for told in report.differences[:SHOWN]:
        bar = f"{told['symbol']} {told['timeframe']} {_text(told['timestamp'])}"
        stream.write(f"differs: {bar}: {told['archive']} in bulk, {told['rest']} over REST\n")
    _print_more(report.different, "bars that differ", stream)


def print_fill_plan(exchange: str, found: FillPlan, stream: TextIO) -> None:
    """Print what filling would cost, and what bulk files save of that."""
    stream.write(
        f"history of {exchange}: at most {found.candles:,} candles, {_cost(found.cost)}, "
        f"{_size(found.bytes)}\n"
    )
    if found.files:
        saved = found.rest_alone.calls - found.cost.calls
        minutes = found.rest_alone.minutes - found.cost.minutes
        stream.write(
            f"archives save {saved:,} calls, {minutes:,.1f} minutes of {_cost(found.rest_alone)}; "
            f"they are {found.files:,} files, about {_size(found.download_bytes)}\n"
        )

    for timeframe, time_ms in found.told_from.items():
        stream.write(f"no history of {timeframe} before {_text(time_ms)}: {TOO_OLD}\n")


def _cost(cost: Cost) -> str:
    return f"{cost.calls:,} calls, weight {cost.weight:,}, {cost.minutes:,.1f} minutes"


def _print_more(count: int, what: str, stream: TextIO) -> None:
    if count > SHOWN:
        stream.write(f"… and {count - SHOWN} more {what}\n")


def _size(octets: int) -> str:
    return f"{octets / 1e6:,.1f} MB"


def _duration(seconds: float) -> str:
    """Return a time in its usual unit, such as `3.5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _text(time_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time_ms / 1000))
