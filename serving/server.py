"""The HTTP server of candles: who is asked for what, and how it begins and ends."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis

from livermore.market.candle import Ticker
from serving.answers import Answers
from serving.binance import streams
from serving.binance.rest import BinanceApi
from serving.binance.socket import BinanceSocket
from serving.clocks import Clocks
from serving.directory import Directory, ServedExchange
from serving.feed import Feed, Told
from serving.fetching import Fetches
from serving.hub import Hub, Topic
from serving.windows import Windows

GRACE_SECONDS = 5.0
TICKERS = {streams.TICKER: streams.ticker, streams.MINI_TICKER: streams.mini_ticker}


class Server:
    """Serves every exchange of the database from what is in Redis."""

    def __init__(self, redis: Redis, url: str):
        """`url` is that of the same Redis, for those who read it in the event loop."""
        self._windows, self._clocks = Windows(redis), Clocks(redis)
        self.directory = Directory()
        self._binance = BinanceApi(Answers(self._windows, self._clocks, Fetches(redis)))
        self._feed = Feed(redis, url, self._deliver)
        self._hub = Hub(self._feed.want, self._feed.unwant)
        self._reading = asyncio.Lock()

    def application(self) -> web.Application:
        app = web.Application()
        app.on_startup.append(self._begin)
        app.on_cleanup.append(self._end)
        app.router.add_get("/{exchange}/api/v3/{path:.*}", self._api)
        app.router.add_get("/{exchange}/ws", self._socket)
        app.router.add_get("/{exchange}/ws/{streams:.*}", self._socket)
        app.router.add_get("/{exchange}/stream", self._socket)
        app.router.add_get("/{exchange}/stream/{rest:.*}", self._socket)
        return app

    async def run(
        self, host: str, port: int, ending: asyncio.Event, say: Callable[[str], object]
    ) -> None:
        """Serve until `ending` is set. Raises OSError where the address is taken."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=GRACE_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            say(f"Serving candles at http://{host}:{port}/EXCHANGE/api/v3/klines")
            await ending.wait()
        finally:
            await runner.cleanup()

    async def _begin(self, app: web.Application) -> None:
        self._windows.start()
        self._clocks.start()
        self._feed.start()

    async def _end(self, app: web.Application) -> None:
        self._windows.close()
        self._clocks.close()
        await self._feed.close()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._exchange(request)
        return await self._binance.answer(exchange, request.match_info["path"], request.query)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._exchange(request)
        named = request.match_info.get("streams")
        is_combined = named is None and "/stream" in request.path
        names = request.query.get("streams", "") if named is None else named
        socket = BinanceSocket(self._hub, exchange, is_combined)
        return await socket.serve(request, [each for each in names.split("/") if each])

    async def _exchange(self, request: web.Request) -> ServedExchange:
        name = request.match_info["exchange"]
        if self.directory.is_due(name):
            async with self._reading:
                if self.directory.is_due(name):
                    await sync_to_async(self.directory.read, thread_sensitive=True)()
        found = self.directory.exchanges.get(name)
        if found is None:
            known = ", ".join(sorted(self.directory.exchanges)) or "none"
            text = json.dumps({"code": -1, "msg": f"There is no exchange {name!r}; known: {known}"})
            raise web.HTTPNotFound(text=text, content_type="application/json")
        return found

    def _deliver(self, told: list[Told]) -> None:
        self._hub.publish((topic, self._payload(topic, message)) for topic, message in told)

    def _payload(self, topic: Topic, message: dict[str, Any]) -> bytes:
        now_ms = self._clocks.now_ms(topic.exchange_id)
        word = self._word(topic)
        if topic.kind == streams.KLINE:
            return streams.kline(message, word, now_ms, bool(message.get("closed")))
        return TICKERS[topic.kind](Ticker.from_json(message), word, now_ms)

    def _word(self, topic: Topic) -> str:
        """Return a symbol as clients know it."""
        for exchange in self.directory.exchanges.values():
            if exchange.exchange_id == topic.exchange_id:
                found = exchange.symbols.get(topic.symbol)
                return found.word if found else topic.symbol
        return topic.symbol
