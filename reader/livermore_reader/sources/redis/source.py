"""Reading from Redis itself, by the keys that Livermore writes."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from livermore_reader.address import Address
from livermore_reader.candles import Asked, Candles, Row
from livermore_reader.derived import derive
from livermore_reader.errors import BadRequest, Incomplete
from livermore_reader.selection import by_closes, select
from livermore_reader.sources.event_messages import Wanted
from livermore_reader.sources.redis.client import Client, as_unavailable, connect
from livermore_reader.sources.redis.events import RedisEvents
from livermore_reader.sources.redis.exchanges import KnownExchange, read_exchanges
from livermore_reader.sources.redis.indicators import Kept, read_value
from livermore_reader.sources.redis.names import Names, find_names
from livermore_reader.sources.redis.pair import Pair, Stored, read_pair, read_rows
from livermore_reader.sources.redis.status import Clock, RunnerStatus, read_status
from livermore_reader.sources.source import Exchange, Status
from livermore_reader.times import DERIVED, KEPT, length_ms, utc

CANDLES_KEPT = 1000
SECONDS_KEPT = 30.0  # for which exchanges and their symbols are known; an unknown name asks again
PAIRS_AT_ONCE = 200


class Question(NamedTuple):
    """What is asked, of which exchange, by the symbol's own name, and of what it is made."""

    asked: Asked
    exchange: KnownExchange
    symbol: str
    base: str
    parts: int

    @property
    def rows_wanted(self) -> int:
        """How many of the newest rows answer it."""
        if self.asked.limit is None or self.asked.start_ms is not None or self.asked.end_ms:
            return CANDLES_KEPT
        return min((self.asked.limit + 2) * self.parts, CANDLES_KEPT)


class RedisSource:
    """All candles of one Redis. Any thread may ask."""

    def __init__(self, address: Address, prefix: str | None = None):
        self.address = address
        self._prefix = prefix
        self._client: Client | None = None
        self._names: Names | None = None
        self._exchanges: Mapping[str, KnownExchange] = {}
        self._read_at = float("-inf")
        self._clocks: dict[str, Clock] = {}
        self._lock = threading.RLock()

    def exchanges(self) -> Sequence[Exchange]:
        with as_unavailable(self.address):
            self._read_exchanges()
        found = sorted(self._exchanges.values(), key=lambda each: each.name)
        return [Exchange(each.number, each.name, each.display_name, each.venue) for each in found]

    def symbols(self, exchange: str) -> Sequence[str]:
        with as_unavailable(self.address):
            return self.exchange(exchange).symbols

    def candles(self, asked: Sequence[Asked]) -> Sequence[Candles]:
        with as_unavailable(self.address):
            questions = [self._question(each) for each in asked]
            found: list[Candles] = []
            for first in range(0, len(questions), PAIRS_AT_ONCE):
                found += self._answers(questions[first : first + PAIRS_AT_ONCE])
            return found

    def status(self, exchange: str) -> Status:
        with as_unavailable(self.address):
            known = self.exchange(exchange)
            pipe = self.client.pipeline(transaction=False)
            self._ask_status(pipe, known)
            status, now_ms = self._read_status(known, iter(pipe.execute(raise_on_error=False)))
        return Status(
            known.name,
            status.is_streamed,
            now_ms,
            status.state,
            status.phase,
            status.newest_close_ms,
            dict(status.told),
        )

    def ticker(self, exchange: str, symbol: str) -> dict[str, Any] | None:
        with as_unavailable(self.address):
            known = self.exchange(exchange)
            name = self.symbol(known, symbol)
            stored = self.client.get(self.names.ticker(known.number, name))
        try:
            found = json.loads(stored or b"null")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def macd_v(
        self, exchange: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> Sequence[dict[str, Any]]:
        with as_unavailable(self.address):
            known = self.exchange(exchange)
            names = sorted({self.symbol(known, each) for each in symbols} or known.symbols)
            pairs = [(name, each) for name in names for each in timeframes or KEPT]
            pipe = self.client.pipeline(transaction=False)
            self._ask_status(pipe, known)
            for symbol, timeframe in pairs:
                pipe.get(self.names.indicator(known.number, symbol, timeframe))
                pipe.get(self.names.coverage(known.number, symbol, timeframe))
                pipe.zrange(self.names.candles(known.number, symbol, timeframe), -1, -1)
                pipe.hget(
                    self.names.of_exchange(known.number, "unconfirmed"), f"{symbol}:{timeframe}"
                )
            replies = iter(pipe.execute(raise_on_error=False))
            _, now_ms = self._read_status(known, replies)
            return [
                read_value(
                    *pair, Kept(*(next(replies) for _ in Kept._fields)), known.lag_ms, now_ms
                )
                for pair in pairs
            ]

    def events(
        self, exchange: str, after: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> RedisEvents:
        wanted = Wanted.of(symbols, timeframes)
        with as_unavailable(self.address):
            known = self.exchange(exchange)
            key = self.names.of_exchange(known.number, "events")
            stream = self.client, self.address, key
        return RedisEvents(
            *stream, known.name, after, wanted, lambda: self.status(known.name).streamed
        )

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()

    @property
    def client(self) -> Client:
        """The client of all that is asked here, made when it is first used. Raises RedisError."""
        with self._lock:
            if self._client is None:
                self._client = connect(self.address)
            return self._client

    @property
    def names(self) -> Names:
        """How keys are named. Raises BadRequest, RedisError."""
        with self._lock:
            if self._names is None:
                self._names = find_names(self.client, self._prefix)
            return self._names

    def exchange(self, name: str) -> KnownExchange:
        """Return an exchange by name. Raises BadRequest, RedisError."""
        is_old = time.monotonic() - self._read_at > SECONDS_KEPT
        if is_old or name not in self._exchanges:
            self._read_exchanges()
        if name not in self._exchanges:
            known = ", ".join(sorted(self._exchanges)) or "none"
            raise BadRequest(f"there is no exchange {name[:50]!r}; known: {known}")
        return self._exchanges[name]

    def symbol(self, exchange: KnownExchange, symbol: str) -> str:
        """Return a symbol's own name; one that is not known may have been kept before."""
        return exchange.canonical(symbol) or symbol

    def _read_exchanges(self) -> None:
        with self._lock:
            self._exchanges = read_exchanges(self.client, self.names)
            self._read_at = time.monotonic()

    def _question(self, asked: Asked) -> Question:
        length_ms(asked.timeframe)  # it raises for one that there isn't
        exchange = self.exchange(asked.exchange)
        base, parts = DERIVED.get(asked.timeframe, (asked.timeframe, 1))
        return Question(asked, exchange, self.symbol(exchange, asked.symbol), base, parts)

    def _answers(self, questions: Sequence[Question]) -> list[Candles]:
        """Return what there is, in one round trip."""
        pipe = self.client.pipeline(transaction=False)
        exchanges = {each.exchange.name: each.exchange for each in questions}
        for exchange in exchanges.values():
            self._ask_status(pipe, exchange)
        for each in questions:
            self._ask_pair(pipe, each)
        replies = iter(pipe.execute(raise_on_error=False))
        told = {name: self._read_status(each, replies) for name, each in exchanges.items()}
        found = []
        for each in questions:
            stored = Stored(*(next(replies) for _ in Stored._fields))
            live = next(replies) if each.asked.live else None
            status, now_ms = told[each.exchange.name]
            found.append(_answer(each, stored, live, status, now_ms))
        return found

    def _ask_pair(self, pipe: Any, question: Question) -> None:
        number, symbol, base = question.exchange.number, question.symbol, question.base
        coverage = self.names.coverage(number, symbol, base)
        pipe.get(coverage)
        pipe.zrange(self.names.candles(number, symbol, base), -question.rows_wanted, -1)
        pipe.get(coverage)
        pipe.hget(self.names.of_exchange(number, "unconfirmed"), f"{symbol}:{base}")
        if question.asked.live:
            pipe.get(self.names.live_candle(number, symbol, base))

    def _ask_status(self, pipe: Any, exchange: KnownExchange) -> None:
        name = self.names.of_exchange(exchange.number, "status")
        pipe.get(name)
        pipe.pttl(name)
        if not self.address.is_cluster:  # of which each node has a time of its own
            pipe.time()

    def _read_status(self, exchange: KnownExchange, replies: Any) -> tuple[RunnerStatus, int]:
        """Return what the next replies say, and what time it is there."""
        text, lives_ms = next(replies), next(replies)
        at = None if self.address.is_cluster else next(replies)
        redis_ms = at[0] * 1000 + at[1] // 1000 if isinstance(at, tuple) else None
        for reply in (text, lives_ms):
            if isinstance(reply, Exception):
                raise reply
        status = read_status(text, lives_ms)
        clock = self._clocks.setdefault(exchange.name, Clock())
        return status, clock.now_ms(status, redis_ms)


def _answer(
    question: Question, stored: Stored, live: Any, status: RunnerStatus, now_ms: int
) -> Candles:
    """Return what replies say about a pair. Raises BadRequest, Incomplete, RedisError."""
    for reply in stored:
        if isinstance(reply, Exception):
            raise reply
    asked, exchange = question.asked, question.exchange
    pair = read_pair(stored, length_ms(question.base), exchange.lag_ms)
    if not stored.members and exchange.canonical(question.symbol) is None:
        raise exchange.unknown(question.symbol)
    newest = pair.rows[-1][0] + length_ms(question.base) if pair.rows else None
    now_ms = by_closes(now_ms, newest)
    if question.parts > 1:
        pair = Pair(*derive(pair.rows, pair.known, asked.timeframe))
        newest = pair.rows[-1][0] + length_ms(asked.timeframe) if pair.rows else None
    found = select([row[0] for row in pair.rows], pair.known, asked, now_ms)
    if found.missing:
        _check_kept(question, found.missing[0][0], now_ms)
    return Candles(
        exchange.name,
        question.symbol,
        asked.timeframe,
        pair.rows[found.first : found.last],
        found.missing,
        found.is_stale,
        newest,
        now_ms,
        "derived" if question.parts > 1 else None,
        _open_row(live, asked, now_ms) if asked.live else None,
    )


def _check_kept(question: Question, missing_ms: int, now_ms: int) -> None:
    """Raise Incomplete where what is missing is older than Redis can have it."""
    step = length_ms(question.base)
    since_ms = now_ms - now_ms % step - CANDLES_KEPT * step
    if missing_ms < since_ms:
        raise Incomplete(
            f"{question.exchange.name} {question.symbol} {question.asked.timeframe}: Redis keeps "
            f"the newest {CANDLES_KEPT:,} candles of a pair, from {utc(since_ms)} on of "
            f"{question.base}; asked for from {utc(missing_ms)}",
            [(missing_ms, since_ms)],
        )


def _open_row(live: Any, asked: Asked, now_ms: int) -> Row | None:
    """Return the open candle, None where it isn't known."""
    rows = read_rows([live]) if isinstance(live, bytes) else []
    step = length_ms(asked.timeframe)
    return rows[0] if rows and rows[0][0] == now_ms - now_ms % step else None
