"""Coinbase's public REST: its times, candles and errors (docs.cdp.coinbase.com, "Public")."""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiMapping

from exchanges.venues.coinbase.rest import GRANULARITIES
from livermore.market.decimal_text import plain
from livermore.market.derived import DERIVED, AnyTimeframe
from serving.candles.answer import OlderThanKept
from serving.candles.answers import Answers
from serving.candles.selection import Wanted
from serving.candles.unavailable import NoHistory, Unavailable
from serving.coinbase.errors import Refused, busy, invalid, not_found
from serving.coinbase.parameters import (
    OF_BOOK,
    OF_PRODUCT,
    OF_PRODUCTS,
    OF_TICKER,
    Forms,
    number,
    read,
)
from serving.coinbase.replies import as_json, own
from serving.directory import ServedExchange
from serving.fetching.passing import Passing

SPEAKS = "coinbase"
MOST_BUCKETS = 350
HOLDS_SECONDS = 1.0  # as the exchange says of its own public answers: they tell prices
TIMEFRAMES: dict[str, AnyTimeframe] = {
    **{name: timeframe for timeframe, name in GRANULARITIES.items()},
    "THIRTY_MINUTE": DERIVED["30m"],
    "TWO_HOUR": DERIVED["2h"],
    "SIX_HOUR": DERIVED["6h"],
}


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
                raise not_found(f"{exchange.name} speaks another protocol")
            match path.split("/"):
                case ["time"]:
                    return await self._time(exchange)
                case ["market", "products"]:
                    return await self._pass_on(exchange, "/market/products", query, OF_PRODUCTS)
                case ["market", "products", name]:
                    one = f"/market/products/{_symbol(exchange, name)}"
                    return await self._pass_on(exchange, one, query, OF_PRODUCT)
                case ["market", "products", name, "ticker"]:
                    one = f"/market/products/{_symbol(exchange, name)}/ticker"
                    return await self._pass_on(exchange, one, query, OF_TICKER)
                case ["market", "product_book"]:
                    symbol = _symbol(exchange, query.get("product_id", ""))
                    query = MultiDict({**query, "product_id": symbol})
                    return await self._pass_on(exchange, "/market/product_book", query, OF_BOOK)
                case ["market", "products", name, "candles"]:
                    return await self._candles(exchange, _symbol(exchange, name), query)
            raise not_found("Public market data is served here, and no other path")
        except Refused as error:
            return as_json({"error": error.error, "message": str(error)}, error.status)
        except NoHistory as error:
            return as_json({"error": "INVALID_ARGUMENT", "message": str(error)}, 400)
        except Unavailable as error:
            return busy(error)

    async def _time(self, exchange: ServedExchange) -> web.Response:
        """Tell the time as its runner does; where there is none, as the exchange does."""
        now_ms = await self._answers.cached.told_ms(exchange)
        if now_ms is None:
            passed = await self._passing.get(exchange, "/time", {}, weight=1, holds_seconds=0)
            return own(passed)
        moment = datetime.fromtimestamp(now_ms // 1000, UTC)
        return as_json(
            {
                "iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
                "epochSeconds": str(now_ms // 1000),
                "epochMillis": str(now_ms),
            }
        )

    async def _pass_on(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str], forms: Forms
    ) -> web.Response:
        params = read(query, forms)
        passed = await self._passing.get(
            exchange, path, params, weight=1, holds_seconds=HOLDS_SECONDS
        )
        return own(passed)

    async def _candles(
        self, exchange: ServedExchange, symbol: str, query: MultiMapping[str]
    ) -> web.Response:
        """Return closed candles and the open one, newest first."""
        timeframe = TIMEFRAMES.get(query.get("granularity", ""))
        if timeframe is None:
            raise invalid("granularity is not supported")
        start_ms, end_ms = (number(query, name) * 1000 for name in ("start", "end"))
        limit = number(query, "limit") if "limit" in query else MOST_BUCKETS
        if start_ms > end_ms:
            raise invalid("start must not be after end")
        buckets = (timeframe.floor(end_ms) - timeframe.ceil(start_ms)) // timeframe.ms + 1
        if buckets > MOST_BUCKETS or limit > MOST_BUCKETS:
            raise invalid(f"number of candles requested should be less than {MOST_BUCKETS}")
        wanted = Wanted(start_ms, end_ms, MOST_BUCKETS)
        try:
            answer = await self._answers.candles(exchange, symbol, timeframe, wanted)
        except OlderThanKept as older:
            which = (exchange, symbol, timeframe, wanted, older.missing)
            answer = await self._answers.older.get(*which)
        rows = answer.window.rows[answer.first : answer.last]
        if answer.open_row is not None:
            rows = [*rows, answer.open_row]
        # 0 is what it takes a limit for that was not sent.
        newest_first = [_row(each) for each in reversed(rows[-(limit or MOST_BUCKETS) :])]
        return as_json({"candles": newest_first}, headers=answer.headers)


def _symbol(exchange: ServedExchange, name: str) -> str:
    if found := exchange.symbols.get(name):
        return found.symbol
    raise not_found(f"Product {name[:50]} not supported")


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
