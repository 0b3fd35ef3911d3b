"""The HTTP server of candles: who is asked for what, and how it begins and ends."""

import asyncio

from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis

from serving.answers import Answers
from serving.binance.rest import BinanceApi
from serving.clocks import Clocks
from serving.directory import Directory, ServedExchange
from serving.windows import Windows

GRACE_SECONDS = 5.0


class Server:
    """Serves every exchange of the database from the candles in Redis."""

    def __init__(self, redis: Redis):
        self._windows, self._clocks = Windows(redis), Clocks(redis)
        self.directory = Directory()
        self._binance = BinanceApi(Answers(self._windows, self._clocks))
        self._reading = asyncio.Lock()

    def application(self) -> web.Application:
        app = web.Application()
        app.on_startup.append(self._begin)
        app.on_cleanup.append(self._end)
        app.router.add_get("/{exchange}/api/v3/{path:.*}", self._api)
        return app

    async def run(self, host: str, port: int, ending: asyncio.Event, say) -> None:
        """Serve until `ending` is set. Raises OSError where the address is taken."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=GRACE_SECONDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, reuse_port=None)
            await site.start()
            say(f"Serving candles at http://{host}:{port}/EXCHANGE/api/v3/klines")
            await ending.wait()
        finally:
            await runner.cleanup()

    async def _begin(self, app: web.Application) -> None:
        self._windows.start()
        self._clocks.start()

    async def _end(self, app: web.Application) -> None:
        self._windows.close()
        self._clocks.close()

    async def _api(self, request: web.Request) -> web.Response:
        name = request.match_info["exchange"]
        exchange = await self._exchange(name)
        if exchange is None:
            known = ", ".join(sorted(self.directory.exchanges)) or "none"
            text = f"There is no exchange {name!r}; known are {known}"
            return web.json_response({"code": -1, "msg": text}, status=404)
        return await self._binance.answer(exchange, request.match_info["path"], request.query)

    async def _exchange(self, name: str) -> ServedExchange | None:
        if self.directory.is_due(name):
            async with self._reading:
                if self.directory.is_due(name):
                    await sync_to_async(self.directory.read, thread_sensitive=True)()
        return self.directory.exchanges.get(name)
