"""Keep the symbols of an exchange as its own listing says.

The canonical symbol identifies a row, because Redis keys hold it: a market that the exchange names
anew keeps its row, and a native name given to another market moves to that market's row.

One canonical symbol has one row, and so has a native name of each kind. Where a listing holds two
native names for a symbol, the one that trades is taken; of two that trade, the one we had already;
else the first. The rest is logged.

A row of a listing that can't be read costs that row, and what it doesn't say stays as it was: what
is stored of a symbol whose row was refused, or may have been, is not taken for delisted.
"""

import logging
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from exchanges.errors import BadPayload
from exchanges.models import Exchange, Symbol
from exchanges.presets import presets
from exchanges.symbols.listed import KINDS, ListedSymbol, named_few

logger = logging.getLogger(__name__)

FIELDS_LISTED = ("native_symbol", "kind", "base", "quote", "status", "alias")
STOPPED_NAMED = 20


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

    A symbol that is gone becomes delisted: its row and `is_monitored` stay, so that it is kept warm
    again if it comes back. One that was renamed stays so until it trades again under its old name.
    The first sync monitors what the exchange's preset names.

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
            names = named_few(item.symbol for item in listed if not _is_usable(item))
            logger.warning(
                "symbols.ignored exchange=%s count=%d unusable=%s", exchange.name, ignored, names
            )
        report = _write(exchange, chosen, stored, _in_doubt(listed, chosen, stored))
        Exchange.objects.filter(pk=exchange.pk).update(listed_at=Now())
    _tell_of_monitored(exchange, stored)
    logger.info(
        "symbols.synced exchange=%s added=%d changed=%d delisted=%d monitored=%d",
        *(exchange.name, report.added, report.changed, report.delisted, report.monitored),
    )
    return report


def _is_usable(item):
    names = ("symbol", "native_symbol", "base", "quote")
    return item.kind in KINDS and all(_is_name(item, field) for field in names)


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
        native = item.native_symbol, item.kind
        if item.symbol not in chosen and native not in taken:
            chosen[item.symbol] = item
            taken.add(native)
    return chosen


def _in_doubt(listed, chosen, stored):
    """Return the stored symbols that are missing in a listing for a row of it that was refused."""
    refused = list(getattr(listed, "refused", ()))
    told = set(refused)
    for item in listed:
        if not _is_usable(item):
            names = [each for each in (item.native_symbol, item.symbol) if isinstance(each, str)]
            refused.append(item.native_symbol if names[:-1] else "")
            told.update(names)
    missing = {row.symbol for row in stored.values() if row.symbol not in chosen}
    named = {symbol for symbol in missing if {symbol, stored[symbol].native_symbol} & told}
    # Whose row a nameless one is nobody knows; where more are missing than that, some are gone.
    nameless = refused.count("")
    return missing if len(missing - named) <= nameless else named


def _write(exchange, chosen, stored, in_doubt):
    now = timezone.now()
    rows = [_row(exchange, item, now, stored.get(item.symbol)) for item in chosen.values()]
    new = [row for row in rows if row.symbol not in stored]
    changed = [row for row in rows if row.symbol in stored and _differ(row, stored[row.symbol])]
    gone = [
        row
        for row in stored.values()
        if row.symbol not in chosen and row.symbol not in in_doubt and row.status not in Symbol.GONE
    ]
    Symbol.objects.filter(pk__in=[row.pk for row in gone]).update(
        status=Symbol.Status.DELISTED, status_since=now, updated_at=now
    )
    # Delisted for a moment, so that markets may exchange their native names.
    moved = [
        stored[row.symbol].pk
        for row in changed
        if row.native_symbol != stored[row.symbol].native_symbol
    ]
    Symbol.objects.filter(pk__in=moved).update(status=Symbol.Status.DELISTED)
    monitored = _monitor_defaults(exchange, new) if not stored else 0
    Symbol.objects.bulk_create(
        new + changed,
        update_conflicts=True,
        unique_fields=["exchange", "symbol"],
        update_fields=[*FIELDS_LISTED, "status_since", "renamed_to", "updated_at"],
    )
    ended = [
        row
        for row in changed
        if row.status == Symbol.Status.DELISTED and stored[row.symbol].status != row.status
    ]
    return SyncReport(len(new), len(changed) - len(ended), len(gone) + len(ended), monitored)


def _row(exchange, item, now, stored):
    status = _status(item, stored)
    is_same = stored is not None and status == stored.status
    return Symbol(
        exchange=exchange,
        symbol=item.symbol,
        native_symbol=item.native_symbol,
        kind=item.kind,
        base=item.base,
        quote=item.quote,
        status=status,
        status_since=stored.status_since if is_same else now,
        renamed_to=stored.renamed_to if is_same else "",
        alias=item.alias if _is_name(item, "alias") else "",
        created_at=now,
        updated_at=now,
    )


def _status(item, stored):
    if item.is_delisted or not item.is_trading:
        if stored is not None and stored.status == Symbol.Status.RENAMED:
            return stored.status
        if item.is_delisted:
            return Symbol.Status.DELISTED
        if item.is_trading is None and stored is not None:
            return stored.status
        return Symbol.Status.HALTED
    return Symbol.Status.TRADING


def _tell_of_monitored(exchange, stored):
    """Log which monitored symbols trade no more, and which do again."""
    stopped, resumed = [], []
    for row in exchange.symbols.monitored().filter(symbol__in=stored):
        before = stored[row.symbol].status
        if before == Symbol.Status.TRADING != row.status:
            stopped.append(f"{row.symbol} ({row.status_text})")
        elif before != Symbol.Status.TRADING == row.status:
            resumed.append(row.symbol)
    for symbols, level, event in (
        (stopped, logging.WARNING, "symbols.stopped"),
        (resumed, logging.INFO, "symbols.resumed"),
    ):
        if symbols:
            more = ", …" if len(symbols) > STOPPED_NAMED else ""
            named = ", ".join(symbols[:STOPPED_NAMED]) + more
            logger.log(
                level, f"{event} exchange=%s count=%d symbols=%s",
                *(exchange.name, len(symbols), named),
            )  # fmt: skip


def _differ(row, stored):
    return any(getattr(row, field) != getattr(stored, field) for field in FIELDS_LISTED)


def _monitor_defaults(exchange, rows):
    preset = presets().get(exchange.name)
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
