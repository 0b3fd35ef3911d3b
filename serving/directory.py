"""The exchanges and symbols that can be asked for, as the database has them."""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import close_old_connections

from exchanges.models import Exchange, Symbol
from exchanges.rest.pacing.host import host_of
from exchanges.venues import VENUES
from livermore.market.candle import LATEST_MS

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
    lag_ms: int = LATEST_MS  # how long after its end it may still lack a bar
    host: str = ""  # whose limits calls use up
    display_name: str = ""  # for people


class Rows(ABC):
    """Rows of the database, kept for some seconds; one at a time may read them."""

    def __init__(self) -> None:
        self._read_at = float("-inf")

    def is_due(self, name: str) -> bool:
        """Tell whether to read before an answer about this one."""
        age = time.monotonic() - self._read_at
        return age > (SECONDS_BETWEEN_READS if self.knows(name) else SECONDS_BETWEEN_LOOKS)

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

    def knows(self, name: str) -> bool:
        return name in self.exchanges

    def load(self) -> None:
        by_exchange: dict[int, list[ServedSymbol]] = {}
        fields = ("exchange_id", "symbol", "base", "quote", "status", "is_monitored")
        for row in Symbol.objects.listed().values_list(*fields):
            number, symbol, base, quote, status, is_monitored = row
            trading = status == Symbol.Status.TRADING
            found = ServedSymbol(symbol, base + quote, base, quote, trading, is_monitored)
            by_exchange.setdefault(number, []).append(found)
        self.exchanges = {
            row.name: ServedExchange(
                row.pk,
                row.name,
                row.venue,
                row.is_active,
                _by_name(by_exchange.get(row.pk, [])),
                VENUES[row.venue].lag_ms if row.venue in VENUES else LATEST_MS,
                host_of(row.rest_url),
                str(row),
            )
            for row in Exchange.objects.all()
        }


def numbered(directory: Directory, exchange_id: int) -> ServedExchange | None:
    """Return the exchange of a number, None where it is gone."""
    for exchange in directory.exchanges.values():
        if exchange.exchange_id == exchange_id:
            return exchange
    return None


def _by_name(symbols: list[ServedSymbol]) -> Mapping[str, ServedSymbol]:
    """Find symbols by both names: two of one word are known by their canonical names alone."""
    times = Counter(each.word for each in symbols)
    by_word = {each.word: each for each in symbols if times[each.word] == 1}
    return by_word | {each.symbol: each for each in symbols}
