"""The exchanges and symbols that can be asked for, as the database has them."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import close_old_connections

from exchanges.models import Exchange, Symbol
from exchanges.rest.pacing.host import host_of
from exchanges.symbols.listed import PERPETUAL, SPOT
from exchanges.venues import VENUES
from livermore.market.candle import LATEST_MS

SECONDS_BETWEEN_READS = 5.0
SECONDS_AHEAD = 1.0  # before these are over they are read anew, and nobody waits for that
SECONDS_BETWEEN_LOOKS = 1.0  # for a name that isn't known yet


PERPETUAL_WORD = "_PERP"  # what a word ends with where its row has spot markets beside perpetuals


@dataclass(frozen=True, slots=True)
class ServedSymbol:
    """A symbol, under our name and as one word in capitals (`BTCUSD`)."""

    symbol: str
    word: str
    base: str
    quote: str
    is_trading: bool
    is_monitored: bool
    kind: str = SPOT


@dataclass(frozen=True, slots=True)
class ServedExchange:
    """An exchange's row.

    `symbols` are found by canonical name, by the word if one has it, and by either in capitals.
    """

    exchange_id: int
    name: str
    venue: str
    is_active: bool
    symbols: Mapping[str, ServedSymbol]
    lag_ms: int = LATEST_MS  # how long after its end it may still lack a bar
    host: str = ""  # whose limits calls use up
    display_name: str = ""  # for people
    depth_rows: int | None = None  # of how many of its newest bars it tells, None for all
    perpetuals: "ServedExchange | None" = None  # the same with these alone; None: it lists none

    def find(self, name: str) -> ServedSymbol | None:
        """Return the symbol of a name, whatever the case of its letters; None where none has it."""
        return self.symbols.get(name) or self.symbols.get(name.upper())


class Rows(ABC):
    """Rows of the database, kept for some seconds; one at a time may read them."""

    def __init__(self) -> None:
        self._read_at = float("-inf")

    def is_due(self, name: str) -> bool:
        """Tell whether to read before an answer about this one."""
        age = time.monotonic() - self._read_at
        return age > (SECONDS_BETWEEN_READS if self.knows(name) else SECONDS_BETWEEN_LOOKS)

    def is_due_soon(self, name: str) -> bool:
        """Tell whether to read now, so that who asks about this one later does not wait."""
        age = time.monotonic() - self._read_at
        return age > SECONDS_BETWEEN_READS - SECONDS_AHEAD and self.knows(name)

    def read(self) -> None:
        """Read them in this thread. Raises django.db.Error."""
        close_old_connections()
        try:
            self.load()
        finally:  # where it is away, not every request is to wait for it
            self._read_at = time.monotonic()

    @abstractmethod
    def knows(self, name: str) -> bool: ...

    @abstractmethod
    def load(self) -> None: ...


class Directory(Rows):
    """All exchanges, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: Mapping[str, ServedExchange] = {}
        # What each was made of: what has not changed is not made anew.
        self._made: dict[int, tuple[Exchange, list[list[Any]], ServedExchange]] = {}

    def knows(self, name: str) -> bool:
        return name in self.exchanges

    def load(self) -> None:
        listed: dict[int, list[list[Any]]] = {}
        fields = ("exchange_id", "symbol", "base", "quote", "status", "is_monitored", "kind")
        for number, *symbol in Symbol.objects.listed().values_list(*fields):
            listed.setdefault(number, []).append(symbol)
        rows = list(Exchange.objects.all())
        made = {row.pk: self._served(row, listed.get(row.pk, [])) for row in rows}
        self._made, self.exchanges = made, {row.name: made[row.pk][2] for row in rows}

    def _served(
        self, row: Exchange, listed: list[list[Any]]
    ) -> tuple[Exchange, list[list[Any]], ServedExchange]:
        """Return an exchange behind what it is made of: as before where that is the same."""
        before = self._made.get(row.pk)
        if before and before[1] == listed and _values(before[0]) == _values(row):
            return before
        return row, listed, _served(row, [_symbol(*each) for each in listed])


def _values(row: Exchange) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _symbol(
    symbol: str, base: str, quote: str, status: str, is_monitored: bool, kind: str
) -> ServedSymbol:
    is_trading = status == Symbol.Status.TRADING
    return ServedSymbol(symbol, (base + quote).upper(), base, quote, is_trading, is_monitored, kind)


def numbered(directory: Directory, exchange_id: int) -> ServedExchange | None:
    """Return the exchange of a number, None where it is gone."""
    for exchange in directory.exchanges.values():
        if exchange.exchange_id == exchange_id:
            return exchange
    return None


def _served(row: Exchange, symbols: list[ServedSymbol]) -> ServedExchange:
    found = ServedExchange(
        row.pk,
        row.name,
        row.venue,
        row.is_active,
        by_name(symbols),
        VENUES[row.venue].lag_ms if row.venue in VENUES else LATEST_MS,
        host_of(row.rest_url),
        str(row),
        row.depth_rows,
    )
    return with_perpetuals(found)


def with_perpetuals(exchange: ServedExchange) -> ServedExchange:
    """Return an exchange that knows what it would be with its perpetuals alone."""
    found = {each for each in exchange.symbols.values() if each.kind == PERPETUAL}
    if not found:
        return exchange
    plain = [replace(each, word=each.word.removesuffix(PERPETUAL_WORD)) for each in found]
    return replace(exchange, perpetuals=replace(exchange, symbols=by_name(plain)))


def by_name(symbols: list[ServedSymbol]) -> Mapping[str, ServedSymbol]:
    """Find symbols by their names: what several are called is known by canonical names alone.

    In a row of perpetuals alone one is `BTCUSDT` as it is on exchanges of these, and `BTCUSDT_PERP`
    too; where there are spot markets beside them it is that alone.
    """
    if len({each.kind for each in symbols}) > 1:
        symbols = [_marked(each) for each in symbols]
    found: dict[str, list[ServedSymbol]] = {}
    for each in symbols:
        for name in {each.word, each.symbol.upper(), _marked(each).word}:
            found.setdefault(name, []).append(each)
    of_one = {name: each[0] for name, each in found.items() if len(each) == 1}
    return of_one | {each.symbol: each for each in symbols}


def _marked(symbol: ServedSymbol) -> ServedSymbol:
    """Return a symbol whose word says of a perpetual that it is one."""
    if symbol.kind == SPOT or symbol.word.endswith(PERPETUAL_WORD):
        return symbol
    return replace(symbol, word=symbol.word + PERPETUAL_WORD)
