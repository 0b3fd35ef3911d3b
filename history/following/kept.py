"""Which history of an exchange is kept, as its row says."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from exchanges.models import Exchange, Symbol
from history.models import KeptHistory
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import LONGEST_FIRST, Timeframe


class Kept(NamedTuple):
    """What is kept of an exchange, in all of `timeframes`, from `since_ms` on."""

    since_ms: int
    symbols: Sequence[str]
    timeframes: Sequence[Timeframe]

    @property
    def pairs(self) -> list[Pair]:
        return pairs_of(self.symbols, self.timeframes)


def kept_of(row: KeptHistory) -> Kept:
    """Return what a row says is kept, the symbols that are monitored now among it."""
    return Kept(start_ms(row.since), kept_symbols(row), with_days(row.timeframes or LONGEST_FIRST))


def kept_symbols(row: KeptHistory) -> list[str]:
    """Return the symbols that a row names, and as what they go on where they were renamed.

    Where it names none they are those that are monitored.
    """
    symbols = row.exchange.symbols
    if not row.symbols:
        return list(symbols.monitored().values_list("symbol", flat=True))
    renamed = symbols.filter(symbol__in=row.symbols, status=Symbol.Status.RENAMED)
    new = renamed.order_by("symbol").values_list("renamed_to", flat=True)
    return list(dict.fromkeys([*row.symbols, *new]))


def keep(
    exchange: Exchange, since: date, symbols: Sequence[str], timeframes: Sequence[str]
) -> None:
    """Remember what is to be kept from now on, in place of what was; none means all."""
    values = {"since": since, "symbols": list(symbols), "timeframes": list(timeframes)}
    KeptHistory.objects.update_or_create(exchange=exchange, defaults=values | {"is_active": True})


def with_days(timeframes: Sequence[str]) -> list[Timeframe]:
    """Return timeframes, the longest first, with days, which tell when a symbol began."""
    return [each for each in LONGEST_FIRST if each in {*timeframes, Timeframe.D1}]


def start_ms(day: date) -> int:
    """Return when a day begins in UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def kept_exchanges(name: str | None = None) -> list[Exchange]:
    """Return the exchanges whose history is to be continued."""
    rows = KeptHistory.objects.filter(is_active=True, exchange__is_active=True)
    if name is not None:
        rows = rows.filter(exchange__name=name)
    return [row.exchange for row in rows.select_related("exchange").order_by("pk")]
