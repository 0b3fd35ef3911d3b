"""Which symbols are monitored, by their names, and changed so that it can be taken back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from exchanges.errors import UnknownSymbol, clip
from exchanges.models import Exchange, Symbol, SymbolQuerySet
from exchanges.symbols.spelling import similar

UNKNOWN_NAMED = 10
LONGEST_SYNC = timedelta(seconds=5)  # until its rows are written


@dataclass(frozen=True, slots=True)
class Change:
    """The symbols that began to be monitored, or no longer are, all at one moment.

    Those that were so before are not among them.
    """

    symbols: tuple[str, ...]
    is_monitored: bool
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "symbols": list(self.symbols),
            "monitored": self.is_monitored,
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Change":
        """Return the change that `as_json` wrote."""
        at = datetime.fromisoformat(stored["at"])
        return cls(tuple(stored["symbols"]), stored["monitored"], at)


def switch(exchange: Exchange, symbols: Iterable[str], is_monitored: bool) -> Change:
    """Monitor canonical symbols, or no longer, all or none. Raises as `listing` does."""
    choose = rows_to_monitor if is_monitored else rows_to_unmonitor
    with transaction.atomic():
        rows = choose(exchange, symbols).filter(is_monitored=not is_monitored)
        return _write(exchange, rows, is_monitored)


def take_back(exchange: Exchange, change: Change) -> tuple[Change, list[str]]:
    """Monitor what was monitored before a change; return what that switched, and what stays.

    Symbols that somebody else switched since stay as they are. What ended meanwhile is monitored
    again too where it was: it is kept warm when it comes back.
    """
    with transaction.atomic():
        rows = exchange.symbols.select_for_update().filter(symbol__in=change.symbols)
        ours = [row.symbol for row in rows if _is_as_left(row, change)]
        back = _write(exchange, exchange.symbols.filter(symbol__in=ours), not change.is_monitored)
    return back, sorted(set(change.symbols) - set(ours))


def _is_as_left(row, change):
    if row.is_monitored != change.is_monitored:
        return False
    # A sync that changed the status wrote to the row too, and switched nothing.
    since = row.status_since
    by_sync = since is not None and change.at < since <= row.updated_at < since + LONGEST_SYNC
    return row.updated_at == change.at or by_sync


def _write(exchange: Exchange, rows: SymbolQuerySet, is_monitored: bool) -> Change:
    names = tuple(rows.select_for_update().order_by("symbol").values_list("symbol", flat=True))
    at = timezone.now()
    exchange.symbols.filter(symbol__in=names).update(is_monitored=is_monitored, updated_at=at)
    return Change(names, is_monitored, at)


def monitor(exchange: Exchange, symbols: Iterable[str]) -> int:
    """Monitor canonical symbols, all or none; return how many were not monitored before.

    A halted one may be monitored: it is kept warm once it trades. Raises UnknownSymbol for those
    that the exchange doesn't list (any more).
    """
    return set_monitored(rows_to_monitor(exchange, symbols), True)


def unmonitor(exchange: Exchange, symbols: Iterable[str]) -> int:
    """Stop monitoring canonical symbols, all or none; return how many were monitored before.

    Raises UnknownSymbol for those the exchange never listed.
    """
    return set_monitored(rows_to_unmonitor(exchange, symbols), False)


def rows_to_monitor(exchange: Exchange, symbols: Iterable[str]) -> SymbolQuerySet:
    """Return the rows of symbols that may be monitored. Raises UnknownSymbol as `monitor` does."""
    symbols = list(symbols)
    renamed = exchange.symbols.filter(symbol__in=symbols, status=Symbol.Status.RENAMED)
    if former := renamed.first():
        raise UnknownSymbol(
            f"{exchange.name}: {former.symbol} was renamed to {former.renamed_to}. "
            "Nothing was changed; name that one instead"
        )
    return _named(exchange, exchange.symbols.listed(), symbols)


def rows_to_unmonitor(exchange: Exchange, symbols: Iterable[str]) -> SymbolQuerySet:
    """Return the rows of symbols. Raises UnknownSymbol as `unmonitor` does."""
    return _named(exchange, exchange.symbols.all(), symbols)


def row_named(exchange: Exchange, symbol: str) -> Symbol:
    """Return the row of a canonical symbol. Raises UnknownSymbol, with similar names."""
    return _named(exchange, exchange.symbols.all(), [symbol]).get()


def set_monitored(symbols: SymbolQuerySet, is_monitored: bool) -> int:
    """Switch rows on or off; return how many were the other way before."""
    others = symbols.filter(is_monitored=not is_monitored)
    return others.update(is_monitored=is_monitored, updated_at=timezone.now())


def _named(exchange, rows, symbols):
    """Return the rows of these symbols; raise UnknownSymbol unless there is one for each."""
    wanted = set(symbols)
    known = set(rows.values_list("symbol", flat=True))
    if not known:
        raise UnknownSymbol(f"{exchange.name} has no symbols yet: sync them first")
    if unknown := sorted(wanted - known):
        named = ", ".join(_with_matches(symbol, known) for symbol in unknown[:UNKNOWN_NAMED])
        more = len(unknown) - UNKNOWN_NAMED
        raise UnknownSymbol(
            f"{exchange.name} does not list {named}{f' and {more} more' if more > 0 else ''}. "
            "Nothing was changed; sync its symbols if they are new"
        )
    return rows.filter(symbol__in=wanted)


def _with_matches(symbol, known):
    matches = similar(symbol, known)
    return f"{clip(symbol)} (close: {', '.join(matches)})" if matches else clip(symbol)
