"""What /v1/ answers: exchanges, candles, MACD-V and status, as JSON."""

from typing import Any

import orjson
from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis
from redis.exceptions import RedisError

from exchanges.lock.status import read_status
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.candles.answers import Answers, OlderThanKept
from serving.candles.selection import Wanted
from serving.candles.unavailable import Unavailable
from serving.directory import Directory, ServedExchange, ServedSymbol
from serving.native.parameters import BadRequest, Parameters
from warmup.cache.indicators import IndicatorCache

DEFAULT_ROWS, MAX_ROWS = 500, 1000
COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


class NotFound(Exception):
    """What was asked for does not exist: HTTP 404 with this text."""


class NativeApi:
    """Answers `/v1/…`; `directory` is read before it is asked."""

    def __init__(self, redis: Redis, directory: Directory, answers: Answers):
        self._redis = redis
        self._directory = directory
        self._answers = answers
        self.by_path = {
            "exchanges": self._exchanges,
            "candles": self._candles,
            "macd-v": self._macd_v,
            "status": self._status,
        }

    async def answer(self, path: str, request: web.Request) -> web.Response:
        try:
            return await self.by_path[path](Parameters(request.query))
        except BadRequest as error:
            return as_json({"error": str(error)}, 400)
        except NotFound as error:
            return as_json({"error": str(error)}, 404)
        except Unavailable as error:
            return unavailable(error)
        except RedisError as error:
            return unavailable(Unavailable(f"the cache can't be read: {error}"))

    def exchange(self, name: str) -> ServedExchange:
        """Return the exchange of that name. Raises NotFound."""
        try:
            return self._directory.exchanges[name]
        except KeyError:
            known = ", ".join(sorted(self._directory.exchanges)) or "none"
            raise NotFound(f"There is no exchange {name[:50]!r}; known: {known}") from None

    async def _exchanges(self, sent: Parameters) -> web.Response:
        sent.finish()
        rows = sorted(self._directory.exchanges.items())
        return as_json({"exchanges": [_described(row) for _, row in rows]})

    async def _candles(self, sent: Parameters) -> web.Response:
        exchange = self.exchange(sent.text("exchange"))
        symbol = symbol_of(exchange, sent.text("symbol"))
        timeframe = sent.timeframe("timeframe")
        start_ms, end_ms = sent.time("start"), sent.time("end")
        limit, with_open = sent.count("limit", DEFAULT_ROWS, MAX_ROWS), sent.flag("open")
        sent.finish()
        if start_ms is not None and end_ms is not None and start_ms >= end_ms:
            raise BadRequest("start has to be before end, which is not included itself")
        # Of the newest bars one is open: it is not counted among the closed ones.
        newest = start_ms is None and end_ms is None
        wanted = Wanted(start_ms, None if end_ms is None else end_ms - 1, limit + newest)
        try:
            answer = await self._answers.candles(exchange, symbol.symbol, timeframe, wanted)
        except OlderThanKept as older:
            which = (exchange, symbol.symbol, timeframe, wanted, older.missing)
            answer = await self._answers.older(*which)
        rows = answer.window.rows[answer.first : answer.last][-limit:]
        content: dict[str, Any] = {
            "exchange": exchange.name,
            "symbol": symbol.symbol,
            "timeframe": timeframe,
            "columns": COLUMNS,
            "complete": True,
            "newestClose": _newest_close(answer.window.times, timeframe),
            "candles": [row[: len(COLUMNS)] for row in rows],
        }
        if with_open:
            content["open"] = answer.open_row and answer.open_row[: len(COLUMNS)]
        return as_json(content, headers=answer.headers)

    async def _macd_v(self, sent: Parameters) -> web.Response:
        exchange = self.exchange(sent.text("exchange"))
        named, timeframes = sent.many("symbols"), sent.timeframes("timeframes")
        sent.finish()
        symbols = (
            [each for each in exchange.symbols.values() if each.is_monitored]
            if named is None
            else [symbol_of(exchange, each) for each in named]
        )
        names = sorted({each.symbol for each in symbols})
        pairs = [Pair(name, each) for name in names for each in timeframes or Timeframe]
        cache = IndicatorCache(self._redis, exchange.exchange_id)
        found = await sync_to_async(cache.read_many, thread_sensitive=False)(pairs)
        values = [
            {"symbol": pair.symbol, "timeframe": pair.timeframe, "macdV": value}
            for pair, value in zip(pairs, found, strict=True)
        ]
        return as_json({"exchange": exchange.name, "values": values})

    async def _status(self, sent: Parameters) -> web.Response:
        exchange = self.exchange(sent.text("exchange"))
        sent.finish()
        read = sync_to_async(read_status, thread_sensitive=False)
        status = await read(self._redis, exchange.exchange_id)
        told = {name: status.details.get(name) for name in TOLD}
        content = {"exchange": exchange.name, "state": status.state, "phase": status.phase}
        return as_json(content | {"heartbeat": status.heartbeat} | told)


# Of what a runner says of itself, what a program that reads candles can use.
TOLD = ("symbols", "closes", "healed", "healing", "pendingCloses", "newestClose", "exchangeTime")


def symbol_of(exchange: ServedExchange, name: str) -> ServedSymbol:
    """Return a symbol by either of its names. Raises NotFound."""
    try:
        return exchange.symbols[name]
    except KeyError:
        raise NotFound(f"{exchange.name} has no symbol {name[:50]!r}") from None


def as_json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(content),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def unavailable(error: Unavailable) -> web.Response:
    """Return 503 with why, and when to ask again."""
    return as_json({"error": str(error)}, 503, {"Retry-After": str(error.retry_seconds)})


def _described(exchange: ServedExchange) -> dict[str, Any]:
    symbols = {each.symbol: each for each in exchange.symbols.values()}
    return {
        "name": exchange.name,
        "id": exchange.exchange_id,
        "venue": exchange.venue,
        "active": exchange.is_active,
        "monitored": sorted(name for name, each in symbols.items() if each.is_monitored),
    }


def _newest_close(times: list[int], timeframe: Timeframe) -> int | None:
    return times[-1] + timeframe.ms if times else None
