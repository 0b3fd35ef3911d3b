"""How an audit looks on a terminal."""

from datetime import UTC, datetime
from typing import TextIO

from exchanges.models import Exchange
from history.audit.audit import AuditReport
from history.audit.comparison import TOLERANCE, Differing, Row
from warmup.terminal import Progress

SHOWN = 20


class AuditProgress(Progress):
    """Shows how many bars were compared."""

    def show(self, done: int, total: int, report: AuditReport) -> None:
        text = f"{report.compared:,} candles compared · {len(report.differing):,} differ"
        self._draw(done, total, text)


def print_audit(
    exchange: Exchange, second: Exchange | None, report: AuditReport, stream: TextIO
) -> None:
    """Print what was found, and the first that differ."""
    many = len(report.differing)
    stream.write(
        f"audit of {exchange.name}: {report.compared:,} candles compared with {report.calls:,} "
        f"calls, {f'{many:,} differ' if many else 'none differs'}\n"
    )
    for each in report.differing[:SHOWN]:
        stream.write(f"{_line(each)}\n")
    if many > SHOWN:
        stream.write(f"… and {many - SHOWN:,} more; --json names all\n")
    if report.unknown:
        stream.write(f"{report.unknown:,} are unknown: {report.reason}\n")
    if second:
        far = len(report.second_beyond)
        stream.write(
            f"beside {second.name}: {report.second_compared:,} candles, "
            f"{f'{far:,} are' if far else 'none is'} further than {TOLERANCE:.0%} from its range\n"
        )
        for found in report.second_beyond[:SHOWN]:
            when = _time(found["timestamp"])
            stream.write(f"far off: {found['symbol']} {found['timeframe']} {when}\n")
        if report.second_reason:
            stream.write(f"some are unknown there: {report.second_reason}\n")


def _line(each: Differing) -> str:
    pair = each.window.pair
    where = f"{each.window.source}: {pair.symbol} {pair.timeframe} {_time(each.time_ms)}"
    return f"{where}: kept {_text(each.kept)}, told {_text(each.told)}"


def _text(row: Row | None) -> str:
    return " ".join(f"{each:g}" for each in row[1:6]) if row else "no candle"


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
