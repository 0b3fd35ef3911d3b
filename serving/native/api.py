"""What /v1/ answers: exchanges, symbols, candles, MACD-V and status, and what events are wanted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis

from exchanges.lock.status import read_status
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.answers import Answers
from serving.candles.tickers import Tickers
from serving.directory import Directory, ServedExchange, ServedSymbol
from serving.native import arrow
from serving.native import operations as asked
from serving.native.accept import is_wanted, preferred
from serving.native.candles import NativeCandles
from serving.native.document import document
from serving.native.errors import (
    JSON,
    REFUSALS,
    NotAcceptable,
    NotFound,
    as_json,
    refusal,
)
from serving.native.operations import ARROW, OPERATIONS
from serving.native.parameters import Sent, read
from serving.native.values import MacdValues
from serving.reading import CacheReader


class Events(NamedTuple):
    """Which events a client wants: all of an exchange after an id, or of some pairs alone."""

    exchange: ServedExchange
    after: str | None
    symbols: frozenset[str]
    timeframes: frozenset[str]


class NativeApi:
    """Answers `/v1/…`; `directory` is read before it is asked."""

    def __init__(self, redis: Redis, reader: CacheReader, directory: Directory, answers: Answers):
        self._redis = redis
        self._reader = reader
        self._directory = directory
        self._answers = answers
        self._of_candles = NativeCandles(answers)
        self._of_tickers = Tickers(redis, reader)
        self._values = MacdValues(redis, reader)
        self._by_path = {
            asked.CANDLES.path: self._candles,
            asked.EXCHANGES.path: self._exchanges,
            asked.LISTED.path: self._symbols,
            asked.MACD_V.path: self._macd_v,
            asked.TICKERS.path: self._tickers,
            asked.STATUS.path: self._status,
            asked.DOCUMENT.path: self._document,
        }

    async def answer(self, path: str, request: web.Request) -> web.Response:
        """Return the answer to a GET of one of OPERATIONS that does not stay open."""
        try:
            sent, accept = self._read(path, request), request.headers.get("Accept")
            form = await self._form(path, accept)
            return await self._by_path[path](sent, form)
        except REFUSALS as error:
            return refusal(error)

    def events(self, request: web.Request) -> Events:
        """Return which events are wanted. Raises one of REFUSALS."""
        sent = self._read(asked.CLOSES.path, request)
        preferred(request.headers.get("Accept"), list(asked.CLOSES.forms))
        exchange = self._exchange(sent)
        named, timeframes = sent[asked.SYMBOLS], sent[asked.TIMEFRAMES_KEPT]
        return Events(
            exchange,
            # Who connects again by itself does so at the address that it was given at first.
            sent[asked.LAST_EVENT_ID] or sent[asked.AFTER],
            frozenset(symbol_of(exchange, each).symbol for each in named or ()),
            frozenset(timeframes or ()),
        )

    def _read(self, path: str, request: web.Request) -> Sent:
        return read(OPERATIONS[path].parameters, request.query, request.headers)

    async def _form(self, path: str, accept: str | None) -> str:
        """Return in which form to answer. Raises NotAcceptable."""
        forms = list(OPERATIONS[path].forms)
        if ARROW not in forms or not is_wanted(accept, ARROW):
            return preferred(accept, [each for each in forms if each != ARROW])
        if await sync_to_async(arrow.library, thread_sensitive=False)() is not None:
            return preferred(accept, forms)
        try:
            return preferred(accept, [each for each in forms if each != ARROW])
        except NotAcceptable:
            raise NotAcceptable(arrow.NOT_INSTALLED) from None

    def _exchange(self, sent: Sent) -> ServedExchange:
        name = sent[asked.EXCHANGE]
        try:
            return self._directory.exchanges[name]
        except KeyError:
            known = ", ".join(sorted(self._directory.exchanges)) or "none"
            raise NotFound(f"There is no exchange {name[:50]!r}; known: {known}") from None

    async def _exchanges(self, sent: Sent, form: str) -> web.Response:
        rows = sorted(self._directory.exchanges.items())
        return as_json({"exchanges": [_described(row) for _, row in rows]})

    async def _symbols(self, sent: Sent, form: str) -> web.Response:
        exchange = self._exchange(sent)
        rows = [
            {
                "symbol": each.symbol,
                "word": each.word,
                "base": each.base,
                "quote": each.quote,
                "kind": each.kind,
                "trading": each.is_trading,
                "monitored": each.is_monitored,
            }
            for each in symbols_of(exchange)
        ]
        return as_json({"exchange": exchange.name, "symbols": rows})

    async def _candles(self, sent: Sent, form: str) -> web.Response:
        exchange = self._exchange(sent)
        symbol = symbol_of(exchange, sent[asked.SYMBOL]).symbol
        return await self._of_candles.answer(exchange, symbol, sent, form)

    async def _macd_v(self, sent: Sent, form: str) -> web.Response:
        exchange, timeframes = self._exchange(sent), sent[asked.TIMEFRAMES_KEPT]
        names = names_of(exchange, sent[asked.SYMBOLS])
        chosen = list(dict.fromkeys(timeframes or Timeframe))
        pairs = [Pair(name, each) for name in names for each in chosen]
        now_ms = await self._answers.cached.now_ms(exchange)
        values = await self._values.read(exchange.exchange_id, pairs, exchange.lag_ms, now_ms)
        streamed = await self._answers.cached.is_streamed(exchange)
        return as_json({"exchange": exchange.name, "streamed": streamed, "values": values})

    async def _tickers(self, sent: Sent, form: str) -> web.Response:
        exchange = self._exchange(sent)
        known = await self._of_tickers.read(exchange, names_of(exchange, sent[asked.SYMBOLS]))
        streamed = await self._answers.cached.is_streamed(exchange)
        told = [known[symbol].as_json() for symbol in sorted(known)]
        return as_json({"exchange": exchange.name, "streamed": streamed, "tickers": told})

    async def _status(self, sent: Sent, form: str) -> web.Response:
        exchange = self._exchange(sent)
        status = await self._reader.read(read_status, self._redis, exchange.exchange_id)
        content = {
            "exchange": exchange.name,
            "state": status.state,
            "phase": status.phase,
            "percent": status.percent,
            "streamed": await self._answers.cached.is_streamed(exchange),
            "time": await self._answers.cached.now_ms(exchange),
            "heartbeat": status.heartbeat,
        }
        return as_json(content | {name: status.details.get(name) for name in TOLD})

    async def _document(self, sent: Sent, form: str) -> web.Response:
        return web.Response(body=document(), content_type=JSON)


# Of what a runner says of itself, what a program that reads candles can use.
TOLD = ("symbols", "closes", "healed", "healing", "pendingCloses", "newestClose", "exchangeTime")


def symbol_of(exchange: ServedExchange, name: str) -> ServedSymbol:
    """Return a symbol by one of its names. Raises NotFound."""
    if found := exchange.find(name):
        return found
    raise NotFound(f"{exchange.name} has no symbol {name[:50]!r}")


def names_of(exchange: ServedExchange, named: Sequence[str] | None) -> list[str]:
    """Return which symbols are asked for: all that are monitored for None. Raises NotFound."""
    if named is None:
        return [each.symbol for each in symbols_of(exchange) if each.is_monitored]
    return sorted({symbol_of(exchange, each).symbol for each in named})


def symbols_of(exchange: ServedExchange) -> list[ServedSymbol]:
    """Return all symbols of an exchange, each once, by name."""
    by_name = {each.symbol: each for each in exchange.symbols.values()}
    return [by_name[name] for name in sorted(by_name)]


def _described(exchange: ServedExchange) -> dict[str, Any]:
    return {
        "name": exchange.name,
        "id": exchange.exchange_id,
        "displayName": exchange.display_name or exchange.name,
        "venue": exchange.venue,
        "active": exchange.is_active,
        "monitored": [each.symbol for each in symbols_of(exchange) if each.is_monitored],
        "kinds": sorted({each.kind for each in exchange.symbols.values()}),
    }
