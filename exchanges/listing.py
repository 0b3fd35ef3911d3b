"""Keep the symbols of an exchange as its own listing says, and choose which to monitor.

The canonical symbol identifies a row, because Redis keys hold it: a market that the exchange names
anew keeps its row, and a native name given to another market moves to that market's row.

One canonical symbol has one row. Where a listing holds two native names for it, the one that trades
is taken; of two that trade, the one we had already; else the first. The rest is logged.
"""

import difflib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from exchanges.errors import BadPayload, UnknownSymbol, clip
from exchanges.models import Exchange, Symbol, SymbolQuerySet
from exchanges.presets import PRESETS

logger = logging.getLogger(__name__)

FIELDS_LISTED = ("native_symbol", "base", "quote", "status", "alias")
UNKNOWN_NAMED = 10


@dataclass(frozen=True, slots=True)
class ListedSymbol:
    """One market as the exchange lists it; `symbol` is canonical, `BASE-QUOTE`.

    `alias` is the native name of the market whose book this one shows, "" where it has its own.
    """

    symbol: str
    native_symbol: str
    base: str
    quote: str
    is_trading: bool
    alias: str = ""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """How many symbols a listing added, changed and delisted, and how many it began to monitor."""

    added: int
    changed: int
    delisted: int
    monitored: int

    def __str__(self):
        return (
            f"{self.added} added, {self.changed} changed, {self.delisted} delisted, "
            f"{self.monitored} newly monitored"
        )


def sync_symbols(exchange: Exchange, listed: list[ListedSymbol]) -> SyncReport:
    """Make the exchange's symbols what `listed` says, in one transaction.

    A symbol that is gone becomes delisted: its row and `is_monitored` stay, so that it is watched
    again if it comes back. The first sync monitors what the exchange's preset names.

    Raises BadPayload where no usable symbol is listed: an exchange never lists nothing.
    """
    usable = [item for item in listed if _is_usable(item)]
    if not usable:
        raise BadPayload(
            f"{exchange.name} listed no usable symbol ({len(listed)} entries). "
            "Nothing was changed; check its REST address and try again later"
        )
    with transaction.atomic():
        # Two syncs at once would both insert what is new.
        Exchange.objects.select_for_update(no_key=True).get(pk=exchange.pk)
        stored = {row.symbol: row for row in Symbol.objects.filter(exchange=exchange)}
        chosen = _one_per_symbol(usable, stored)
        if ignored := len(listed) - len(chosen):
            logger.warning("symbols.ignored exchange=%s count=%d", exchange.name, ignored)
        report = _write(exchange, chosen, stored)
    logger.info(
        "symbols.synced exchange=%s added=%d changed=%d delisted=%d monitored=%d",
        *(exchange.name, report.added, report.changed, report.delisted, report.monitored),
    )
    return report


def monitor(exchange: Exchange, symbols: Iterable[str]) -> int:
    """Monitor canonical symbols, all or none; return how many were not monitored before.

    Raises UnknownSymbol for those the exchange doesn't list (any more).
    """
    listed = exchange.symbols.exclude(status=Symbol.Status.DELISTED)
    return set_monitored(_named(exchange, listed, symbols), True)


def unmonitor(exchange: Exchange, symbols: Iterable[str]) -> int:
    """Stop monitoring canonical symbols, all or none; return how many were monitored before.

    Raises UnknownSymbol for those the exchange never listed.
    """
    return set_monitored(_named(exchange, exchange.symbols.all(), symbols), False)


def set_monitored(symbols: SymbolQuerySet, is_monitored: bool) -> int:
    """Switch rows on or off; return how many were the other way before."""
    others = symbols.filter(is_monitored=not is_monitored)
    return others.update(is_monitored=is_monitored, updated_at=timezone.now())


def _is_usable(item):
    return all(_is_name(item, field) for field in ("symbol", "native_symbol", "base", "quote"))


def _is_name(item, field):
    name = getattr(item, field)
    if not isinstance(name, str) or not name or not name.isprintable():
        return False
    # A colon would end a part of a Redis key.
    return not set(name) & {":", " "} and len(name) <= Symbol._meta.get_field(field).max_length


def _one_per_symbol(listed, stored):
    def rank(item):
        row = stored.get(item.symbol)
        return not item.is_trading, row is None or row.native_symbol != item.native_symbol

    chosen, taken = {}, set()
    for item in sorted(listed, key=rank):
        if item.symbol not in chosen and item.native_symbol not in taken:
            chosen[item.symbol] = item
            taken.add(item.native_symbol)
    return chosen


def _write(exchange, chosen, stored):
    now = timezone.now()
    rows = [_row(exchange, item, now) for item in chosen.values()]
    new = [row for row in rows if row.symbol not in stored]
    changed = [row for row in rows if row.symbol in stored and _differ(row, stored[row.symbol])]
    gone = [
        row
        for row in stored.values()
        if row.symbol not in chosen and row.status != Symbol.Status.DELISTED
    ]
    # Delisted for a moment, so that markets may exchange their native names.
    renamed = [
        stored[row.symbol]
        for row in changed
        if row.native_symbol != stored[row.symbol].native_symbol
    ]
    Symbol.objects.filter(pk__in=[row.pk for row in gone + renamed]).update(
        status=Symbol.Status.DELISTED, updated_at=now
    )
    monitored = _monitor_defaults(exchange, new) if not stored else 0
    Symbol.objects.bulk_create(
        new + changed,
        update_conflicts=True,
        unique_fields=["exchange", "symbol"],
        update_fields=[*FIELDS_LISTED, "updated_at"],
    )
    return SyncReport(len(new), len(changed), len(gone), monitored)


def _row(exchange, item, now):
    status = Symbol.Status.TRADING if item.is_trading else Symbol.Status.HALTED
    return Symbol(
        exchange=exchange,
        symbol=item.symbol,
        native_symbol=item.native_symbol,
        base=item.base,
        quote=item.quote,
        status=status,
        alias=item.alias if _is_name(item, "alias") else "",
        created_at=now,
        updated_at=now,
    )


def _differ(row, stored):
    return any(getattr(row, field) != getattr(stored, field) for field in FIELDS_LISTED)


def _monitor_defaults(exchange, rows):
    preset = PRESETS.get(exchange.name)
    if preset is None:
        return 0
    wanted = preset.default_symbols
    chosen = [
        row
        for row in rows
        if row.status == Symbol.Status.TRADING and (wanted is None or row.symbol in wanted)
    ]
    for row in chosen:
        row.is_monitored = True
    return len(chosen)


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
    matches = difflib.get_close_matches(symbol.upper(), known, n=3)
    return f"{clip(symbol)} (close: {', '.join(matches)})" if matches else clip(symbol)
