"""The exchanges and symbols that can be asked for, as the database has them."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import close_old_connections

from exchanges.models import Exchange, Symbol

SECONDS_BETWEEN_READS = 5.0
SECONDS_BETWEEN_LOOKS = 1.0  # for a name that isn't known yet


@dataclass(frozen=True, slots=True)
class ServedSymbol:
    """A symbol, under our name and as one word (`BTCUSD`)."""

    symbol: str
    word: str
    base: str
    quote: str
    is_trading: bool
    is_monitored: bool


@dataclass(frozen=True, slots=True)
class ServedExchange:
    """An exchange's row. `symbols` are found by canonical name, and by the word if one has it."""

    exchange_id: int
    name: str
    venue: str
    is_active: bool
    symbols: Mapping[str, ServedSymbol]


class Directory:
    """Reads them in the thread that asks; one at a time may."""

    def __init__(self) -> None:
        self.exchanges: Mapping[str, ServedExchange] = {}
        self._read_at = float("-inf")

    def is_due(self, name: str) -> bool:
        """Tell whether to read before an answer about an exchange of this name."""
        age = time.monotonic() - self._read_at
        return age > (SECONDS_BETWEEN_READS if name in self.exchanges else SECONDS_BETWEEN_LOOKS)

    def read(self) -> None:
        """Raises django.db.Error."""
        close_old_connections()
        by_exchange: dict[int, list[ServedSymbol]] = {}
        fields = ("exchange_id", "symbol", "base", "quote", "status", "is_monitored")
        for row in Symbol.objects.listed().values_list(*fields):
            number, symbol, base, quote, status, is_monitored = row
            trading = status == Symbol.Status.TRADING
            found = ServedSymbol(symbol, base + quote, base, quote, trading, is_monitored)
            by_exchange.setdefault(number, []).append(found)
        self.exchanges = {
            row.name: ServedExchange(
                row.pk, row.name, row.venue, row.is_active, _by_name(by_exchange.get(row.pk, []))
            )
            for row in Exchange.objects.all()
        }
        self._read_at = time.monotonic()


def _by_name(symbols: list[ServedSymbol]) -> Mapping[str, ServedSymbol]:
    """Find symbols by both names: two of one word are known by their canonical names alone."""
    times = Counter(each.word for each in symbols)
    by_word = {each.word: each for each in symbols if times[each.word] == 1}
    return by_word | {each.symbol: each for each in symbols}
