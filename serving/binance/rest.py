"""Binance's REST over any exchange: its parameters, defaults, bounds, codes (rest-api.md)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import orjson
from aiohttp import web
from multidict import MultiDict, MultiMapping

from exchanges.symbols.listed import SPOT
from exchanges.venues.binance.server.errors import (
    BAD_INTERVAL,
    BAD_SYMBOL,
    OTHER_STATUS,
    ApiError,
)
from exchanges.venues.binance.server.parameters import Parameters
from livermore.market.candle import Ticker
from livermore.market.derived import BY_TEXT, AnyTimeframe
from livermore.market.timeframe import Timeframe
from serving.binance import checks
from serving.binance.info import exchange_info, status_of
from serving.binance.klines import body
from serving.binance.replies import BUSY, UNSUPPORTED, as_json, refusal, said, unserved
from serving.binance.tickers import day, last_price, mini_day, price
from serving.binance.time_unit import HEADER, is_microsecond, klines_in_microseconds
from serving.binance.weights import WEIGHTS
from serving.candles.answer import OlderThanKept
from serving.candles.answers import Answers
from serving.candles.open_rows import OpenRow
from serving.candles.selection import Wanted
from serving.candles.tickers import Tickers
from serving.candles.unavailable import NoHistory, Unavailable
from serving.candles.weights import UsedWeights
from serving.directory import ServedExchange, ServedSymbol
from serving.fetching.passing import Passing
from serving.standing.cache_status import cache_status
from serving.standing.origins import STREAM, source

DEFAULT_ROWS, MAX_ROWS = 500, 1000
KLINES = ("klines", "uiKlines")
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
WAIT, WAIT_HEADER = "livermoreWait", "X-Livermore-Wait"
SPEAKS = "binance"  # the venue that answers what the cache can't
PASSED_INTERVALS = ("1s", "3d", "1w", "1M")
# For which an answer that was passed on holds: of what is listed, of bars that change no more.
LISTING_SECONDS, PAST_SECONDS, MOMENT_SECONDS = 60.0, 60.0, 1.0
WEIGHT_A_SECOND = 8  # that one request for tickers uses up, however many programs send it
DAYS = {"FULL": day, "MINI": mini_day}
MOST_ASKED = 20  # prices that no stream tells, for one answer
FULL = ("type", "FULL")  # of tickers, as they are where none is named: it is the same request
TIMELESS = ("depth", "ticker/price", "ticker/bookTicker", "executionRules")  # they tell no times


class Asked(NamedTuple):
    """A GET of a path below `/api/v3/`: without what is of our own, which is beside it."""

    exchange: ServedExchange
    path: str
    query: MultiMapping[str]
    wait: str | None  # for how many ms it may be held until the bar that ends now is there
    in_microseconds: bool


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
        self,
        exchange: ServedExchange,
        path: str,
        query: MultiMapping[str],
        headers: Mapping[str, str],
        method: str = "GET",
    ) -> web.Response:
        """Return the answer to a request of a path below `/api/v3/`."""
        is_public = path in WEIGHTS or path in self._by_path
        if refused := unserved(path, method, headers.get("Accept", ""), is_public):
            return refused
        answer = await self._answer(exchange, path, query, headers)
        if (weight := await self._weights.of(exchange)) is not None:
            answer.headers[USED_WEIGHT] = str(weight)
        return answer

    async def _answer(
        self,
        exchange: ServedExchange,
        path: str,
        query: MultiMapping[str],
        headers: Mapping[str, str],
    ) -> web.Response:
        wait = None
        if path in KLINES:
            wait = query.get(WAIT, headers.get(WAIT_HEADER))
            if WAIT in query:
                query = MultiDict((name, each) for name, each in query.items() if name != WAIT)
        try:
            asked = Asked(exchange, path, query, wait, is_microsecond(headers.get(HEADER)))
            return await self._by_path.get(path, self._checked)(asked)
        except ApiError as error:
            return said(error.content, status=400)
        except NoHistory as error:
            return refusal(400, UNSUPPORTED, str(error))
        except Unavailable as error:
            return refusal(503, BUSY, str(error), {"Retry-After": str(error.retry_seconds)})

    async def _checked(self, asked: Asked) -> web.Response:
        """Let the exchange answer what it can answer alone, once that is a right request."""
        sent = Parameters(asked.query)
        checks.CHECKS[asked.path](sent)
        sent.finish()
        return await self._pass_on(asked)

    async def _pass_on(self, asked: Asked, holds_seconds: float | None = None) -> web.Response:
        """Let the exchange answer itself, where it speaks this protocol."""
        exchange, path, query = asked.exchange, asked.path, asked.query
        if exchange.venue != SPEAKS:
            text = f"{path} of {exchange.name} is not served: it speaks another protocol itself"
            return refusal(400, UNSUPPORTED, text)
        if asked.in_microseconds and path not in (*TIMELESS, *KLINES):
            text = f"{path} of {exchange.name} is served in milliseconds alone: it is passed on"
            return refusal(400, UNSUPPORTED, text)
        weight = WEIGHTS[path](query)
        passed = await self._passing.get(
            exchange,
            f"/api/v3/{path}",
            _native(exchange, query),
            weight=weight,
            holds_seconds=holds_seconds or _moment(path, weight),
        )
        content = passed.told.body
        if asked.in_microseconds and path in KLINES:
            content = klines_in_microseconds(content)
        return as_json(content, passed.headers, passed.status)

    async def _exchange_info(self, asked: Asked) -> web.Response:
        exchange = asked.exchange
        names, permissions, shows_sets, status = checks.exchange_info(Parameters(asked.query))
        if exchange.venue == SPEAKS:
            return await self._pass_on(asked, LISTING_SECONDS)
        symbols, now_ms = _chosen(exchange, names), await self._answers.cached.now_ms(exchange)
        if permissions:  # of what Binance knows, spot markets have one and perpetuals none
            symbols = [each for each in symbols if each.kind == SPOT and "SPOT" in permissions]
        told = [each for each in symbols if status in (None, status_of(each))]
        time = _time_of(now_ms, asked)
        return said(exchange_info(told, time, shows_sets=shows_sets))

    async def _day(self, asked: Asked) -> web.Response:
        """Answer with 24 hours; the exchange itself where it can: the stream tells less of them."""
        sent = Parameters(asked.query)
        names, status, kind = sent.symbols(), sent.status(), checks.ticker_kind(sent)
        sent.finish()
        if asked.exchange.venue == SPEAKS:
            return await self._pass_on(asked)
        return await self._told(asked, names, status, DAYS[kind])

    async def _price(self, asked: Asked) -> web.Response:
        sent = Parameters(asked.query)
        names, status = sent.symbols(), sent.status()
        sent.finish()
        return await self._told(asked, names, status, price)

    async def _told(
        self,
        asked: Asked,
        names: list[str] | None,
        status: str | None,
        write: Callable[[Ticker, str], dict],
    ) -> web.Response:
        """Answer with tickers that the stream told; where one is missing, ask the exchange."""
        exchange, is_one = asked.exchange, "symbol" in asked.query
        speaks = exchange.venue == SPEAKS
        if speaks and (status or not names):
            return await self._pass_on(asked)
        symbols = [each for each in _chosen(exchange, names) if status in (None, status_of(each))]
        if is_one and not symbols:
            raise ApiError(*OTHER_STATUS)
        wanted = [each for each in symbols if names or each.is_monitored]
        found = {}
        if await self._answers.cached.is_streamed(exchange):
            found = await self._tickers.read(exchange, [each.symbol for each in wanted])
        lacking = [each.symbol for each in wanted if each.symbol not in found]
        if lacking and speaks:
            return await self._pass_on(asked)
        is_price = write is price and len(lacking) <= MOST_ASKED
        opened = await self._days(exchange, lacking) if is_price else {}
        if unknown := [each for each in lacking if each not in opened]:
            raise Unavailable(f"{exchange.name} has told no ticker of {unknown[0]} lately")
        rows = [
            last_price(opened[each.symbol].row, each.word)
            if each.symbol in opened
            else write(found[each.symbol], each.word)
            for each in wanted
        ]
        if asked.in_microseconds:
            rows = [_times_in_microseconds(each) for each in rows]
        oldest_ms = min((each.timestamp for each in found.values()), default=None)
        asked_for = opened.values()
        kept = bool(found) or not opened or any(each.kept for each in asked_for)
        fetched = any(each.fetched for each in asked_for)
        origins = {each.origin for each in asked_for} | ({STREAM} if found or not opened else set())
        headers = {"Cache-Status": cache_status(kept=kept, fetched=fetched)} | source(origins)
        if oldest_ms is not None:
            age_ms = await self._answers.cached.now_ms(exchange) - oldest_ms
            headers["Age"] = str(max(0, age_ms // 1000))
        elif fetched and not kept:
            headers["Age"] = "0"
        return said(rows[0] if is_one else rows, headers)

    async def _days(self, exchange: ServedExchange, symbols: Sequence[str]) -> dict[str, OpenRow]:
        """Return the open candle of a day of each symbol of which one is known."""
        days = await asyncio.gather(*(self._answers.day(exchange, each) for each in symbols))
        return {symbol: day for symbol, day in zip(symbols, days, strict=True) if day}

    async def _ping(self, asked: Asked) -> web.Response:
        Parameters(asked.query).finish()
        return said({})

    async def _time(self, asked: Asked) -> web.Response:
        Parameters(asked.query).finish()
        now_ms = await self._answers.cached.now_ms(asked.exchange)
        return said({"serverTime": _time_of(now_ms, asked)})

    async def _klines(self, asked: Asked) -> web.Response:
        exchange, sent = asked.exchange, Parameters(asked.query)
        native, interval = sent.symbol(), sent.interval()
        wanted = Wanted(
            sent.start_time("startTime"),
            sent.time("endTime"),
            min(sent.count("limit", DEFAULT_ROWS), MAX_ROWS),
        )
        zone_ms = sent.zone("timeZone") * Timeframe.M1.ms
        sent.finish()
        wait_ms = (
            None if asked.wait is None else Parameters(MultiDict({WAIT: asked.wait})).time(WAIT)
        )
        symbol = _symbol(exchange, native)
        if interval in PASSED_INTERVALS:
            return await self._pass_on(asked)
        if interval not in BY_TEXT:
            raise ApiError(*BAD_INTERVAL)
        timeframe = BY_TEXT[interval]
        if zone_ms % timeframe.ms:  # its bars begin at other times
            return await self._pass_on(asked)
        if wait_ms is not None:
            await self._answers.cached.wait(exchange, symbol.symbol, timeframe, wait_ms)
        try:
            answer = await self._answers.candles(exchange, symbol.symbol, timeframe, wanted)
        except OlderThanKept as older:
            if exchange.venue == SPEAKS and isinstance(timeframe, Timeframe):
                settled_ms = await self._answers.cached.now_ms(exchange) - exchange.lag_ms
                is_past = _ends_before(wanted, timeframe, settled_ms)
                return await self._pass_on(asked, PAST_SECONDS if is_past else None)
            which = (exchange, symbol.symbol, timeframe, wanted, older.missing)
            answer = await self._answers.older.get(*which, is_filled=True)
        closed = answer.window, answer.first, answer.last
        content = body(*closed, answer.open_row, timeframe)
        if asked.in_microseconds:
            content = klines_in_microseconds(content)
        return as_json(content, answer.headers)


def _moment(path: str, weight: int) -> float:
    """Return for how many seconds prices hold: tickers the longer, the more they weigh."""
    is_ticker = path.startswith("ticker")
    return max(MOMENT_SECONDS, weight / WEIGHT_A_SECOND if is_ticker else 0)


def _ends_before(wanted: Wanted, timeframe: AnyTimeframe, time_ms: int) -> bool:
    """Tell whether all bars that are wanted have ended by a time."""
    last_ms = time_ms if wanted.end_ms is None else wanted.end_ms
    if wanted.start_ms is not None:
        last_ms = min(last_ms, wanted.start_ms + (wanted.limit - 1) * timeframe.ms)
    return last_ms + timeframe.ms <= time_ms


def _time_of(now_ms: int, asked: Asked) -> int:
    return now_ms * 1000 if asked.in_microseconds else now_ms


def _times_in_microseconds(ticker: dict) -> dict:
    times = {name: 1000 * ticker[name] for name in ("openTime", "closeTime") if name in ticker}
    return ticker | times


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
    params = {name: query[name] for name in query if (name, query[name]) != FULL}
    if names is not None:
        words = [_symbol(exchange, name).word for name in names]
        one = "symbol" in query
        params |= {"symbol": words[0]} if one else {"symbols": orjson.dumps(words).decode()}
    return params


def _symbol(exchange: ServedExchange, native: str) -> ServedSymbol:
    if found := exchange.find(native):
        return found
    raise ApiError(*BAD_SYMBOL)
