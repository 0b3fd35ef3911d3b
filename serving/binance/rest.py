"""Binance's REST over any exchange: its parameters, defaults, bounds, codes (rest-api.md)."""

from aiohttp import web
from multidict import MultiMapping

from exchanges.venues.binance.server.errors import BAD_INTERVAL, BAD_SYMBOL, ApiError
from exchanges.venues.binance.server.parameters import Parameters
from livermore.market.timeframe import Timeframe
from serving.answers import Answers, Unavailable
from serving.binance.klines import body, rows_of
from serving.derived import DERIVED, Derived
from serving.directory import ServedExchange, ServedSymbol
from serving.selection import Wanted

DEFAULT_ROWS, MAX_ROWS = 500, 1000
BUSY = -1001
TIMEFRAMES: dict[str, Timeframe | Derived] = {str(each): each for each in Timeframe} | DERIVED


class BinanceApi:
    """Answers `/{exchange}/api/v3/…`."""

    def __init__(self, answers: Answers):
        self._answers = answers
        self._by_path = {
            "ping": self._ping,
            "time": self._time,
            "klines": self._klines,
            "uiKlines": self._klines,
        }

    async def answer(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str]
    ) -> web.Response:
        """Return the answer to a GET of a path below `/api/v3/`."""
        found = self._by_path.get(path)
        if found is None:
            return web.Response(status=404, text="")
        try:
            return await found(exchange, query)
        except ApiError as error:
            return web.json_response(error.content, status=400)
        except Unavailable as error:
            return web.json_response(
                {"code": BUSY, "msg": str(error)},
                status=503,
                headers={"Retry-After": str(error.retry_seconds)},
            )

    async def _ping(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        Parameters(query).finish()
        return web.json_response({})

    async def _time(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        Parameters(query).finish()
        return web.json_response({"serverTime": self._answers.now_ms(exchange)})

    async def _klines(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        sent = Parameters(query)
        native, interval = sent.symbol(), sent.text("interval")
        wanted = Wanted(
            sent.time("startTime"),
            sent.time("endTime"),
            min(sent.count("limit", DEFAULT_ROWS), MAX_ROWS),
        )
        sent.finish("timeZone")
        if interval not in TIMEFRAMES:
            raise ApiError(*BAD_INTERVAL)
        symbol, timeframe = _symbol(exchange, native), TIMEFRAMES[interval]
        answer = await self._answers.candles(exchange, symbol.symbol, timeframe, wanted)
        rows = rows_of(answer.window, timeframe)[answer.first : answer.last]
        return web.Response(
            body=body(rows, answer.open_row, timeframe),
            content_type="application/json",
            headers=answer.headers,
        )


def _symbol(exchange: ServedExchange, native: str) -> ServedSymbol:
    try:
        return exchange.symbols[native]
    except KeyError:
        raise ApiError(*BAD_SYMBOL) from None
