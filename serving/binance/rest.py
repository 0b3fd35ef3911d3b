"""Binance's REST over any exchange: its parameters, defaults, bounds, codes (rest-api.md)."""

from collections.abc import Callable

import orjson
from aiohttp import web
from multidict import MultiDict, MultiMapping

from exchanges.venues.binance.server.errors import BAD_INTERVAL, BAD_SYMBOL, ApiError
from exchanges.venues.binance.server.parameters import Parameters
from livermore.market.candle import Ticker
from livermore.market.timeframe import Timeframe
from serving.binance.info import exchange_info
from serving.binance.klines import body
from serving.binance.tickers import day, mini_day, price
from serving.binance.weights import WEIGHTS
from serving.candles.answers import HIT, MISS, Answers, OlderThanKept
from serving.candles.derived import DERIVED, AnyTimeframe
from serving.candles.passing import Passing
from serving.candles.selection import Wanted
from serving.candles.tickers import Tickers
from serving.candles.unavailable import Unavailable
from serving.candles.weights import UsedWeights
from serving.directory import ServedExchange, ServedSymbol

DEFAULT_ROWS, MAX_ROWS = 500, 1000
KLINES = ("klines", "uiKlines")
BUSY, UNSUPPORTED = -1001, -1020
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
WAIT = "livermoreWait"
UTC = (None, "0", "00:00", "0:00", "+00:00")  # as `timeZone` says it
SPEAKS = "binance"  # the venue that answers what the cache can't
PASSED_INTERVALS = ("1s", "3d", "1w", "1M")
LISTING_SECONDS, MOMENT_SECONDS = 60.0, 1.0  # for which an answer that was passed on holds
DAYS = {"FULL": day, "MINI": mini_day}
TIMEFRAMES: dict[str, AnyTimeframe] = {str(each): each for each in Timeframe} | DERIVED


class BinanceApi:
    """Answers `/{exchange}/api/v3/…`."""

    def __init__(self, answers: Answers, tickers: Tickers, passing: Passing, weights: UsedWeights):
        self._answers = answers
        self._weights = weights
        self._tickers = tickers
        self._passing = passing
        self._by_path = {
            "ping": self._ping,
            "time": self._time,
            "klines": self._klines,
            "uiKlines": self._klines,
            "exchangeInfo": self._exchange_info,
            "ticker/24hr": self._day,
            "ticker/price": self._price,
        }

    async def answer(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str], wait: str | None = None
    ) -> web.Response:
        """Return the answer to a GET of a path below `/api/v3/`.

        `wait` is for how many ms it may be held until the bar that ends now is there.
        """
        if wait is not None and path in KLINES and WAIT not in query:
            query = MultiDict([*query.items(), (WAIT, wait)])
        answer = await self._answer(exchange, path, query)
        if (weight := await self._weights.of(exchange)) is not None:
            answer.headers[USED_WEIGHT] = str(weight)
        return answer

    async def _answer(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str]
    ) -> web.Response:
        found = self._by_path.get(path)
        try:
            if found is None or query.get("interval") in PASSED_INTERVALS:
                return await self._pass_on(exchange, path, query)
            return await found(exchange, query)
        except ApiError as error:
            return web.json_response(error.content, status=400)
        except Unavailable as error:
            return web.json_response(
                {"code": BUSY, "msg": str(error)},
                status=503,
                headers={"Retry-After": str(error.retry_seconds)},
            )

    async def _pass_on(
        self, exchange: ServedExchange, path: str, query: MultiMapping[str]
    ) -> web.Response:
        """Let the exchange answer itself, where it speaks this protocol."""
        if path not in WEIGHTS:
            return web.Response(status=404, text="")
        if exchange.venue != SPEAKS:
            text = f"{path} of {exchange.name} is not served: it speaks another protocol itself"
            return web.json_response({"code": UNSUPPORTED, "msg": text}, status=400)
        weight = WEIGHTS[path](query)
        holds = LISTING_SECONDS if path == "exchangeInfo" else MOMENT_SECONDS
        passed = await self._passing.get(
            exchange,
            f"/api/v3/{path}",
            _native(exchange, query),
            weight=weight,
            holds_seconds=holds,
        )
        return web.Response(
            body=orjson.dumps(passed.content),
            status=passed.status,
            content_type="application/json",
            headers={
                "Age": str(passed.age_seconds),
                "Cache-Status": MISS,
                "X-Livermore-Source": "rest",
            },
        )

    async def _exchange_info(
        self, exchange: ServedExchange, query: MultiMapping[str]
    ) -> web.Response:
        if exchange.venue == SPEAKS:
            return await self._pass_on(exchange, "exchangeInfo", query)
        sent = Parameters(query)
        names = sent.symbols()
        for name in ("permissions", "showPermissionSets", "symbolStatus"):
            sent.optional(name)
        sent.finish()
        symbols, now_ms = _chosen(exchange, names), await self._answers.now_ms(exchange)
        return web.json_response(exchange_info(symbols, now_ms))

    async def _day(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        sent = Parameters(query)
        names, kind = sent.symbols(), sent.optional("type") or "FULL"
        sent.finish()
        if kind not in DAYS:
            raise ApiError(-1100, "Illegal characters found in parameter 'type'.")
        return await self._told(exchange, query, names, DAYS[kind], "ticker/24hr")

    async def _price(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        sent = Parameters(query)
        names = sent.symbols()
        sent.finish()
        return await self._told(exchange, query, names, price, "ticker/price")

    async def _told(
        self,
        exchange: ServedExchange,
        query: MultiMapping[str],
        names: list[str] | None,
        write: Callable[[Ticker, str], dict],
        path: str,
    ) -> web.Response:
        """Answer with tickers that the stream told; where one is missing, ask the exchange."""
        symbols = _chosen(exchange, names)
        wanted = [each for each in symbols if names or each.is_monitored]
        found = {}
        if await self._answers.is_streamed(exchange):
            found = await self._tickers.read(exchange, [each.symbol for each in wanted])
        lacking = [each.symbol for each in wanted if each.symbol not in found]
        if (lacking or not names) and exchange.venue == SPEAKS:
            return await self._pass_on(exchange, path, query)
        if lacking:
            raise Unavailable(f"{exchange.name} has told no ticker of {lacking[0]} lately")
        rows = [write(found[each.symbol], each.word) for each in wanted]
        oldest_ms = min((each.timestamp for each in found.values()), default=None)
        headers = {"Cache-Status": HIT, "X-Livermore-Source": "stream"}
        if oldest_ms is not None:
            age_ms = await self._answers.now_ms(exchange) - oldest_ms
            headers["Age"] = str(max(0, age_ms // 1000))
        return web.json_response(rows[0] if "symbol" in query else rows, headers=headers)

    async def _ping(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        Parameters(query).finish()
        return web.json_response({})

    async def _time(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        Parameters(query).finish()
        return web.json_response({"serverTime": await self._answers.now_ms(exchange)})

    async def _klines(self, exchange: ServedExchange, query: MultiMapping[str]) -> web.Response:
        sent = Parameters(query)
        native, interval = sent.symbol(), sent.text("interval")
        wanted = Wanted(
            sent.time("startTime"),
            sent.time("endTime"),
            min(sent.count("limit", DEFAULT_ROWS), MAX_ROWS),
        )
        zone, wait_ms = sent.optional("timeZone"), sent.time(WAIT)
        sent.finish()
        if interval not in TIMEFRAMES:
            raise ApiError(*BAD_INTERVAL)
        symbol, timeframe = _symbol(exchange, native), TIMEFRAMES[interval]
        if zone not in UTC:  # their bars begin at other times
            return await self._pass_on(exchange, "klines", query)
        if wait_ms is not None:
            await self._answers.wait(exchange, symbol.symbol, timeframe, wait_ms)
        try:
            answer = await self._answers.candles(exchange, symbol.symbol, timeframe, wanted)
        except OlderThanKept as older:
            if exchange.venue == SPEAKS:
                return await self._pass_on(exchange, "klines", query)
            which = (exchange, symbol.symbol, timeframe, wanted, older.missing)
            answer = await self._answers.older(*which)
        closed = answer.window, answer.first, answer.last
        return web.Response(
            body=body(*closed, answer.open_row, timeframe),
            content_type="application/json",
            headers=answer.headers,
        )


def _chosen(exchange: ServedExchange, names: list[str] | None) -> list[ServedSymbol]:
    """Return the symbols of these names, all for None. Raises ApiError for an unknown one."""
    if names is None:
        return sorted(set(exchange.symbols.values()), key=lambda each: each.symbol)
    return [_symbol(exchange, name) for name in names]


def _native(exchange: ServedExchange, query: MultiMapping[str]) -> dict[str, str]:
    """Return parameters for the exchange itself, with symbols as it calls them.

    Raises ApiError for one that it does not list: it is not asked.
    """
    names = Parameters(query).symbols()
    params = {name: query[name] for name in query if name != WAIT}
    if names is not None:
        words = [_symbol(exchange, name).word for name in names]
        one = "symbol" in query
        params |= {"symbol": words[0]} if one else {"symbols": orjson.dumps(words).decode()}
    return params


def _symbol(exchange: ServedExchange, native: str) -> ServedSymbol:
    try:
        return exchange.symbols[native]
    except KeyError:
        raise ApiError(*BAD_SYMBOL) from None
