"""All that is read of one Redis."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from livermore_reader.address import Address
from livermore_reader.candles import Asked, Candles
from livermore_reader.sources.event_messages import Wanted
from livermore_reader.sources.files.months import HistoryFiles
from livermore_reader.sources.redis.candles import RedisCandles
from livermore_reader.sources.redis.client import as_unavailable
from livermore_reader.sources.redis.events import RedisEvents
from livermore_reader.sources.redis.exchanges import KnownExchange
from livermore_reader.sources.redis.indicators import Kept, read_value
from livermore_reader.sources.redis.installation import Installation
from livermore_reader.sources.redis.replies import sound
from livermore_reader.sources.redis.status import Statuses
from livermore_reader.sources.source import Exchange, Status
from livermore_reader.times import KEPT


class RedisSource:
    """Any thread may ask. It connects when it is first asked."""

    def __init__(
        self, address: Address, prefix: str | None = None, history: HistoryFiles | None = None
    ):
        """What Redis lacks is looked for in the files of `history`."""
        self.address = address
        self._installation = Installation(address, prefix)
        self._statuses = Statuses(self._installation)
        self._candles = RedisCandles(self._installation, self._statuses, history)

    def exchanges(self) -> Sequence[Exchange]:
        with as_unavailable(self.address):
            found = self._installation.exchanges().values()
        return [
            Exchange(each.number, each.name, each.display_name, each.venue)
            for each in sorted(found, key=lambda each: each.name)
        ]

    def symbols(self, exchange: str) -> Sequence[str]:
        with as_unavailable(self.address):
            return self._installation.exchange(exchange).symbols

    def names(self, exchange: str) -> Mapping[str, str]:
        with as_unavailable(self.address):
            return self._installation.exchange(exchange).names

    def candles(self, asked: Sequence[Asked]) -> Sequence[Candles]:
        with as_unavailable(self.address):
            return self._candles.read(asked)

    def macd_v(
        self, exchange: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> Sequence[dict[str, Any]]:
        with as_unavailable(self.address):
            known = self._installation.exchange(exchange)
            names = sorted({_symbol(known, each) for each in symbols} or known.symbols)
            pairs = [(name, each) for name in names for each in timeframes or KEPT]
            return self._values(known, pairs) if pairs else []

    def status(self, exchange: str) -> Status:
        with as_unavailable(self.address):
            return self._status(self._installation.exchange(exchange))

    def ticker(self, exchange: str, symbol: str) -> dict[str, Any] | None:
        with as_unavailable(self.address):
            known = self._installation.exchange(exchange, symbol)
            name = _symbol(known, symbol)
            stored = self._installation.client.get(
                self._installation.names.ticker(known.number, name)
            )
        try:
            found = json.loads(stored or b"null")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def events(
        self, exchange: str, after: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> RedisEvents:
        wanted = Wanted.of(symbols, timeframes)
        with as_unavailable(self.address):
            known = self._installation.exchange(exchange)
            key = self._installation.names.of_exchange(known.number, "events")
            stream = self._installation.client, self.address, key
        return RedisEvents(*stream, known.name, after, wanted, lambda: self._status(known).streamed)

    def close(self) -> None:
        self._installation.close()

    def _status(self, known: KnownExchange) -> Status:
        pipe = self._installation.client.pipeline(transaction=False)
        self._statuses.ask(pipe, known)
        told = self._statuses.read(known, iter(pipe.execute(raise_on_error=False)))
        status = told.status
        return Status(
            known.name,
            status.is_streamed,
            told.now_ms,
            status.state,
            status.phase,
            status.newest_close_ms,
            dict(status.told),
        )

    def _values(
        self, exchange: KnownExchange, pairs: Sequence[tuple[str, str]]
    ) -> list[dict[str, Any]]:
        """Return MACD-V of pairs, in one round trip."""
        names, number = self._installation.names, exchange.number
        pipe = self._installation.client.pipeline(transaction=False)
        self._statuses.ask(pipe, exchange)
        # A Cluster's pipeline has no `mget`; all keys of an exchange are in one slot.
        pipe.execute_command("MGET", *(names.indicator(number, *pair) for pair in pairs))
        pipe.execute_command("MGET", *(names.coverage(number, *pair) for pair in pairs))
        for pair in pairs:
            pipe.zrange(names.candles(number, *pair), -1, -1)
        pipe.hmget(names.of_exchange(number, "unconfirmed"), [":".join(pair) for pair in pairs])
        replies = iter(pipe.execute(raise_on_error=False))
        now_ms = self._statuses.read(exchange, replies).now_ms
        values, coverages = sound(next(replies)), sound(next(replies))
        newest = [sound(next(replies)) for _ in pairs]
        unconfirmed = sound(next(replies)) or [None] * len(pairs)
        kept = map(Kept, values, coverages, newest, unconfirmed)
        return [
            read_value(*pair, each, exchange.lag_ms, now_ms)
            for pair, each in zip(pairs, kept, strict=True)
        ]


def _symbol(exchange: KnownExchange, symbol: str) -> str:
    """Return a symbol's own name. Raises BadRequest."""
    if found := exchange.canonical(symbol):
        return found
    raise exchange.unknown(symbol)
