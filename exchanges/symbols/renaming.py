"""Symbols that go on under another name: what may be offered as one, and the rows of it.

No exchange says that one coin is another's new name: it delists one and lists the other. So a
person says it, and is offered what was listed about when the other ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from exchanges.errors import UnknownSymbol
from exchanges.models import Exchange, Symbol
from exchanges.symbols.monitoring import row_named

LONGEST_BETWEEN = timedelta(days=7)  # from one name's end to the other's listing, or back
FIRST_LISTING = timedelta(minutes=10)  # what the exchange had when it was first looked at
NAMES_OFFERED = 3


@dataclass(frozen=True, slots=True)
class RenameOffer:
    """A monitored symbol that trades no more, and what may be its new name, likeliest first."""

    exchange: str
    symbol: str
    status: str
    names: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """Return for each name what to type."""
        begin = f"./run symbols {self.exchange} --rename {self.symbol}"
        return [f"{begin} {name}" for name in self.names]

    def as_json(self) -> dict[str, Any]:
        return {"from": self.symbol, "to": list(self.names)}

    def __str__(self) -> str:
        text = f"{self.symbol} is {self.status}. If it goes on under a name listed about then: "
        return text + ", or ".join(self.commands)


def rename_offers(exchange: Exchange) -> list[RenameOffer]:
    """Return for each monitored symbol that trades no more what was listed about when it ended."""
    ended = exchange.symbols.monitored().filter(
        status__in=(Symbol.Status.HALTED, Symbol.Status.DELISTED), status_since__isnull=False
    )
    ended = list(ended)
    if not ended:
        return []
    first = exchange.symbols.aggregate(first=Min("created_at"))["first"]
    taken = exchange.symbols.filter(status=Symbol.Status.RENAMED).values("renamed_to")
    new = list(
        exchange.symbols.trading()
        .filter(created_at__gt=first + FIRST_LISTING)
        .exclude(symbol__in=taken)
    )
    offers = [_offer(exchange, row, new) for row in ended]
    return [offer for offer in offers if offer.names]


def check_rename(exchange: Exchange, old: str, new: str) -> None:
    """Raise UnknownSymbol, with the reason, unless `old` can have become `new`."""
    before, after = row_named(exchange, old), row_named(exchange, new)
    if before.renamed_to not in ("", new):
        raise UnknownSymbol(f"{exchange.name}: {old} was renamed to {before.renamed_to} already")
    if before.status == Symbol.Status.TRADING:
        raise UnknownSymbol(
            f"{exchange.name} still trades {old}: what was renamed trades no more. "
            f"`./run symbols {exchange.name} --sync` looks at the listing again"
        )
    if after.status in Symbol.GONE or old == new:
        raise UnknownSymbol(f"{exchange.name} does not list {new} ({after.status_text})")
    if before.kind != after.kind:
        raise UnknownSymbol(
            f"{old} is {before.kind} and {new} is {after.kind}: no history goes from one to the "
            "other. Monitor the new one by itself"
        )
    if before.quote != after.quote:
        raise UnknownSymbol(
            f"{old} and {new} have prices in different currencies: no history goes from one to the "
            "other. Monitor the new one by itself"
        )


def rename(exchange: Exchange, old: str, new: str) -> bool:
    """Let `old` be renamed to `new`, which is monitored if `old` was; return whether it is."""
    now = timezone.now()
    with transaction.atomic():
        rows = exchange.symbols.select_for_update()
        before, after = rows.get(symbol=old), rows.get(symbol=new)
        after.is_monitored = after.is_monitored or before.is_monitored
        after.save(update_fields=["is_monitored", "updated_at"])
        rows.filter(pk=before.pk).update(
            status=Symbol.Status.RENAMED,
            status_since=now,
            renamed_to=new,
            is_monitored=False,
            updated_at=now,
        )
        rows.filter(status=Symbol.Status.RENAMED, renamed_to=old).update(renamed_to=new)
    return after.is_monitored


def _offer(exchange: Exchange, row: Symbol, new: Sequence[Symbol]) -> RenameOffer:
    def between(other: Symbol) -> timedelta:
        return abs(other.created_at - row.status_since)

    names = [
        other.symbol
        for other in sorted(new, key=between)
        if (other.quote, other.kind) == (row.quote, row.kind) and between(other) <= LONGEST_BETWEEN
    ]
    return RenameOffer(exchange.name, row.symbol, row.status_text, tuple(names[:NAMES_OFFERED]))
