"""What the database tells: symbols that do not trade, and audits that found something."""

from collections.abc import Iterator
from typing import Any

from alerts.events.source import WHOLE, Look, Moment, Seen
from exchanges.models import AuditRun, Exchange, Symbol
from warmup.human_readable import count

BY_STATUS = {Symbol.Status.HALTED: "halted", Symbol.Status.DELISTED: "delisted"}


class Rows:
    """Looks at the rows of exchanges' symbols and audits."""

    name = "rows"
    needs_redis = False

    def look(self, look: Look) -> Iterator[Seen | Moment]:
        position = look.position(self.name)
        for exchange in look.exchanges:
            yield from _symbols(exchange)
            yield from _renamed(exchange, position, look.now_ms)
            yield from _audit(exchange)


def _symbols(exchange: Exchange) -> Iterator[Seen]:
    found: dict[str, dict[str, str]] = {kind: {} for kind in BY_STATUS.values()}
    for symbol in exchange.symbols.monitored().exclude(status=Symbol.Status.TRADING):
        if kind := BY_STATUS.get(symbol.status):
            found[kind][symbol.symbol] = f"it is {symbol.status_text}"
    for kind, subjects in found.items():
        yield Seen(kind, exchange, subjects)


def _renamed(exchange: Exchange, position: dict[str, Any], now_ms: int) -> Iterator[Moment]:
    """Tell of names that are given up: whoever gives one up monitors the next, and it no more."""
    known, gone = position.get(str(exchange.pk)), []
    for symbol in exchange.symbols.filter(status=Symbol.Status.RENAMED).order_by("symbol"):
        gone.append(symbol.symbol)
        if known is not None and symbol.symbol not in known:
            text = f"it is {symbol.status_text}"
            yield Moment("renamed", exchange, symbol.symbol, text, now_ms)
    position[str(exchange.pk)] = gone


def _audit(exchange: Exchange) -> Iterator[Seen]:
    run = exchange.audit_runs.filter(ended_at__isnull=False).first()
    if run is not None:
        yield Seen("audit_failed", exchange, {} if run.is_fine else {WHOLE: words_for(run)})


def words_for(run: AuditRun) -> str:
    """Return what an audit found that is not as it should be."""
    of = f"of {count(run.compared, 'candle')}"
    parts = [
        f"{number:,} {what}"
        for number, what in (
            (run.differing, "differ from what the exchange tells"),
            (run.second_beyond, f"are far from {run.second}'s"),
            (run.unknown, "could not be compared"),
        )
        if number
    ]
    return f"its audit: {of} {' and '.join(parts)}"
