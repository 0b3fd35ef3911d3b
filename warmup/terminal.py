"""How a warmup looks on a terminal, and in a log where there is none."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any, TextIO, cast

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from livermore.market.timeframe import Timeframe
from warmup.plan import WarmupPlan
from warmup.stats import Status

SECONDS_BETWEEN_LINES = 3
FAILURES_SHOWN = LEFT_SHOWN = 10
ONLY = TaskID(0)  # the bar's one task


class Verbatim:
    """A command's stream without the line end and the colour that it gives to each write."""

    def __init__(self, stream: OutputWrapper):
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text, style_func=str, ending="")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Progress:
    """Shows how far a run is: a bar on a terminal, a line every few seconds elsewhere.

    It goes to the error stream it is given, so that standard output holds results only.
    """

    show: Callable[..., None]  # each kind of progress shows something else

    def __init__(self, title: str, stream: OutputWrapper):
        self._title = title
        self._console = Console(file=cast(IO[str], Verbatim(stream)))
        self._next_line_at = time.monotonic() + SECONDS_BETWEEN_LINES
        self._bar: Bar | None = None

    def __enter__(self):
        return self.show

    def __exit__(self, *exc_info: object) -> None:
        self._take_away()

    def _draw(self, done: int, total: int, text: str) -> None:
        if self._console.is_terminal:
            self._bar = self._bar or self._begin_bar()
            self._bar.update(ONLY, total=max(total, 1), completed=done, text=text)
        elif done < total and time.monotonic() >= self._next_line_at:
            self._next_line_at = time.monotonic() + SECONDS_BETWEEN_LINES
            line = f"{self._title}: {100 * done / total:.0f} % {text}"
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _begin_bar(self) -> Bar:
        bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}% {task.fields[text]}"),
            console=self._console,
            transient=True,
        )
        bar.add_task(self._title, total=None, text="")
        bar.start()
        return bar

    def _take_away(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


class WarmupProgress(Progress):
    """Shows the stats of a warmup, in the form in which they are stored, while it goes on."""

    def show(self, stats: dict[str, Any]) -> None:
        if stats["status"] == Status.EXECUTING and stats["totalPairs"]:
            done = stats["completedPairs"] + stats["failedPairs"]
            self._draw(done, stats["totalPairs"], describe(stats))
        elif stats["status"] in (Status.COMPLETE, Status.ERROR):
            self._take_away()  # whoever started it may go on for days


class CountProgress(Progress):
    """Shows how many pairs of a repair or backfill are done."""

    def show(self, count: dict[str, int]) -> None:
        done, total = count["done"], count["total"]
        self._draw(done, total, f"{done}/{total} pairs")


def describe(stats: dict[str, Any]) -> str:
    """Return the numbers of a run that goes on, on one line."""
    parts = [f"{stats['completedPairs'] + stats['failedPairs']}/{stats['totalPairs']} pairs"]
    if stats["currentSymbol"]:
        parts.append(f"{stats['currentSymbol']} {stats['currentTimeframe']}")
    if stats["pairsPerSecond"]:
        parts.append(f"{stats['pairsPerSecond']:.1f}/s")
    if stats["etaMs"] is not None:
        parts.append(f"{stats['etaMs'] / 1000:.0f} s left")
    if stats["failedPairs"]:
        parts.append(f"{stats['failedPairs']} failed")
    return " · ".join(parts)


def print_summary(exchange: str, result: dict[str, Any], stream: TextIO) -> None:
    """Print how a warmup ended, as a table, and the first of its failures."""
    stats = result["stats"]
    table = Table(title=f"warmup of {exchange}")
    for column in ("fetched", "left alone", "failed", "refused candles", "candle calls", "seconds"):
        table.add_column(column, justify="right")
    names = ("completedPairs", "skippedPairs", "failedPairs", "refusedCandles")
    seconds = (stats["updatedAt"] - stats["startedAt"]) / 1000
    numbers = [*(stats[name] for name in names), result["candleCalls"]]
    table.add_row(*map(str, numbers), f"{seconds:.1f}")
    _print(table, stream)
    print_failures(stats["failures"], stream)
    if not stats["totalPairs"]:
        pairs = stats["skippedPairs"]
        stream.write(f"{exchange} was warm already: {pairs} pairs, zero REST candle calls\n")


def print_failures(failures: list[dict[str, str]], stream: TextIO) -> None:
    """Print the first failures, a line each, and how many more there are."""
    for failure in failures[:FAILURES_SHOWN]:
        pair = f"{failure['symbol']} {failure['timeframe']}"
        stream.write(f"failed: {pair}: {failure['error']}\n")
    if len(failures) > FAILURES_SHOWN:
        stream.write(f"… and {len(failures) - FAILURES_SHOWN} more failures\n")


def print_report(exchange: str, what: str, report: dict[str, Any], stream: TextIO) -> None:
    """Print what a repair or backfill did, on one line, and the first of its failures."""
    stream.write(
        f"{exchange}: {what} {report['pairs']} pairs: {report['candles']} candles in "
        f"{report['ranges']} stretches by {report['candleCalls']} calls, "
        f"{report['refusedCandles']} refused, {len(report['failures'])} failed\n"
    )
    for left in report["left"][:LEFT_SHOWN]:
        opened = datetime.fromtimestamp(left["from"] / 1000, UTC)
        stream.write(
            f"left open: {left['symbol']} {left['timeframe']} {opened:%Y-%m-%d %H:%M}, its row is "
            f"refused: {left['reason']}. It is asked for again, ever more rarely\n"
        )
    if (more := len(report["left"]) - LEFT_SHOWN) > 0:
        stream.write(f"left open: {more} more\n")
    for lost in report.get("tooOld", [])[:LEFT_SHOWN]:
        begin, end = (datetime.fromtimestamp(lost[name] / 1000, UTC) for name in ("from", "to"))
        stream.write(
            f"not to be had: {lost['symbol']} {lost['timeframe']} {begin:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M}: the exchange tells of nothing that old\n"
        )
    if (more := len(report.get("tooOld", [])) - LEFT_SHOWN) > 0:
        stream.write(f"not to be had: {more} more\n")
    print_failures(report["failures"], stream)


def print_plan(plan: WarmupPlan, with_repair: bool, stream: TextIO) -> None:
    """Print a plan as a table, and what it costs."""
    table = Table(title="warmup plan: nothing was changed, nothing was fetched")
    columns = ("timeframe", "sufficient", "short", "stale", "holed", "warmup calls", "repair calls")
    for column in columns:
        table.add_column(column, justify="right")
    for each in plan.timeframes:
        counts = (each.sufficient, each.short, each.stale, each.holed)
        table.add_row(each.timeframe, *map(str, (*counts, each.warmup_calls, each.repair_calls)))
    _print(table, stream)
    what = "warmup and repair" if with_repair else "warmup"
    stream.write(
        f"{what}: {plan.calls} candle calls, request weight {plan.weight}, "
        f"at least {plan.minutes:.1f} minutes\n"
    )
    if lost := sum(each.too_old for each in plan.timeframes):
        stream.write(
            f"{lost} pairs lack older candles that are not to be had: the exchange tells of the "
            f"newest {plan.depth_rows} bars of a timeframe alone\n"
        )
    for line in plan.aside:
        stream.write(f"{line}\n")
    if plan.doubt:
        stream.write(f"by this machine's clock, which may be off: {plan.doubt}\n")


def print_indicators(
    exchange: str, values: list[dict[str, Any]], now_ms: int, stream: TextIO
) -> None:
    """Print MACD-V of pairs as a table: the numbers, and what each stands on."""
    table = Table(title=f"MACD-V of {exchange}")
    for column in ("symbol", "timeframe"):
        table.add_column(column)
    for column in ("value", "signal", "histogram"):
        table.add_column(column, justify="right")
    table.add_column("stage")
    for column in ("closed", "ranges", "bars", "liquidity"):
        table.add_column(column, justify="right")
    table.add_column("complete")
    for value in values:
        table.add_row(*_indicator_cells(value, now_ms))
    _print(table, stream)
    known = sum(value["value"] is not None for value in values)
    stream.write(f"{known} of {len(values)} pairs have a value\n")


def _indicator_cells(value: dict[str, Any], now_ms: int) -> list[str]:
    numbers = [value[name] for name in ("value", "signal", "histogram")]
    cells = [value["symbol"], value["timeframe"]]
    cells += ["–" if number is None else f"{number:.2f}" for number in numbers]
    cells.append(value["stage"] or value["reason"])
    if value["timestamp"] is None:
        return cells
    closed_ms = value["timestamp"] + Timeframe(value["timeframe"]).ms
    return [
        *cells,
        f"{ago(now_ms - closed_ms)} ago",
        *(str(value["nEff"]), str(value["spanBars"]), f"{value['liquidity'] or 0:.0%}"),
        "yes" if value["coverageComplete"] else "NO",
    ]


def ago(age_ms: int) -> str:
    """Return an age in its largest whole unit, such as `3 min`."""
    for unit, length_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if age_ms >= length_ms:
            return f"{age_ms // length_ms} {unit}"
    return f"{max(age_ms, 0) // 1000} s"


def _print(table: Table, stream: TextIO) -> None:
    # Piped output has no width of its own: as wide as the table needs, not 80 columns.
    width = None if Console(file=stream).is_terminal else 140
    Console(file=stream, width=width).print(table)
