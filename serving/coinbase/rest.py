"""Coinbase's public REST: its times, candles and errors (docs.cdp.coinbase.com, "Public")."""

from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web
from multidict import MultiMapping

from exchanges.venues.coinbase.rest import GRANULARITIES
from livermore.market.decimal_text import plain
from serving.candles.answers import MISS, Answers, OlderThanKept
from serving.candles.derived import DERIVED, AnyTimeframe
from serving.candles.passing import Passing
from serving.candles.selection import Wanted
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange

SPEAKS = "coinbase"
MOST_BUCKETS = 350
LISTING_SECONDS = 60.0
LONGEST_TIME = 10  # digits of a time in seconds
TIMEFRAMES: dict[str, AnyTimeframe] = {
    **{name: timeframe for timeframe, name in GRANULARITIES.items()},
    "THIRTY_MINUTE": DERIVED["30m"],
    "TWO_HOUR": DERIVED["2h"],
    "SIX_HOUR": DERIVED["6h"],
}


class Refused(Exception):
    """A request that Coinbase would refuse: HTTP status, its word for it, and why."""

    def __init__(self, status: int, error: str, why: str):
        super().__init__(why)
        self.status, self.error = status, error


class CoinbaseApi:
    """Answers `/{exchange}/api/v3/brokerage/…` for rows that speak this protocol."""

    def __init__(self, answers: Answers, passing: Passing):
        self._answers = answers
        self._passing = passing

    async def answer(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str]
    ) -> web.Response:
        """Return the answer to a GET of a path below `/api/v3/brokerage/`."""
        try:
            if exchange.venue != SPEAKS:
                raise Refused(404, "NOT_FOUND", f"{exchange.name} speaks another protocol")
            match path.split("/"):
                case ["time"]:
                    return await self._time(exchange)
                case ["market", "products"]:
                    return await self._pass_on(exchange, "/market/products", query)
                case ["market", "products", name]:
                    symbol = _symbol(exchange, name)
                    return await self._pass_on(exchange, f"/market/products/{symbol}", query)
                case ["market", "products", name, "candles"]:
                    return await self._candles(exchange, _symbol(exchange, name), query)
            raise Refused(404, "NOT_FOUND", "Public market data is served here, and no other path")
        except Refused as error:
            return _json({"error": error.error, "message": str(error)}, error.status)
        except Unavailable as error:
            headers = {"Retry-After": str(error.retry_seconds)}
            return _json({"error": "UNAVAILABLE", "message": str(error)}, 503, headers)

    async def _time(self, exchange: ServedExchange) -> web.Response:
        now_ms = await self._answers.now_ms(exchange)
        moment = datetime.fromtimestamp(now_ms // 1000, UTC)
        return _json(
            {
                "iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
                "epochSeconds": str(now_ms // 1000),
                "epochMillis": str(now_ms),
            }
        )

    async def _pass_on(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str]
    ) -> web.Response:
        params = {name: query[name] for name in query}
        passed = await self._passing.get(
            exchange, path, params, weight=1, holds_seconds=LISTING_SECONDS
        )
        headers = {
            "Age": str(passed.age_seconds),
            "Cache-Status": MISS,
            "X-Livermore-Source": "rest",
        }
        return _json(passed.content, passed.status, headers)

    async def _candles(
        self, exchange: ServedExchange, symbol: str, query: MultiMapping[str]
    ) -> web.Response:
        """Return closed candles and the open one, newest first."""
        timeframe = TIMEFRAMES.get(query.get("granularity", ""))
        if timeframe is None:
            raise Refused(400, "INVALID_ARGUMENT", "granularity is not supported")
        start_ms, end_ms = (_number(query, name) * 1000 for name in ("start", "end"))
        limit = _number(query, "limit") if "limit" in query else MOST_BUCKETS
        if start_ms > end_ms:
            raise Refused(400, "INVALID_ARGUMENT", "start must not be after end")
        buckets = (timeframe.floor(end_ms) - timeframe.ceil(start_ms)) // timeframe.ms + 1
        if buckets > MOST_BUCKETS or not 1 <= limit <= MOST_BUCKETS:
            why = f"number of candles requested should be less than {MOST_BUCKETS}"
            raise Refused(400, "INVALID_ARGUMENT", why)
        wanted = Wanted(start_ms, end_ms, MOST_BUCKETS)
        try:
            answer = await self._answers.candles(exchange, symbol, timeframe, wanted)
        except OlderThanKept as older:
            which = (exchange, symbol, timeframe, wanted, older.missing)
            answer = await self._answers.older(*which)
        rows = answer.window.rows[answer.first : answer.last]
        if answer.open_row is not None:
            rows = [*rows, answer.open_row]
        newest_first = [_row(each) for each in reversed(rows[-limit:])]
        return _json({"candles": newest_first}, headers=answer.headers)


def _symbol(exchange: ServedExchange, name: str) -> str:
    try:
        return exchange.symbols[name].symbol
    except KeyError:
        raise Refused(404, "NOT_FOUND", f"Product {name[:50]} not supported") from None


def _number(query: MultiMapping[str], name: str) -> int:
    text = query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_TIME):
        raise Refused(400, "INVALID_ARGUMENT", f"{name} is required and must be a whole number")
    return int(text)


def _row(values: list[Any]) -> dict[str, str]:
    opened, *numbers = values[:6]
    start, high, low, close, volume = map(plain, numbers)
    return {
        "start": str(opened // 1000),
        "low": low,
        "high": high,
        "open": start,
        "close": close,
        "volume": volume,
    }


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(content), status=status, content_type="application/json", headers=headers
    )
