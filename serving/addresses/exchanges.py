"""Addresses below an exchange's name: the protocols of exchanges, over HTTP and WebSocket."""

import asyncio

from aiohttp import web

from exchanges.venues.binance.server.errors import ApiError
from serving.addresses.staying import Staying
from serving.binance.replies import BUSY, READS
from serving.binance.rest import BinanceApi
from serving.binance.socket import NO_LEAVE, BinanceSocket
from serving.binance.time_unit import PARAMETER, is_microsecond
from serving.candles.answers import Answers
from serving.candles.unavailable import Unavailable
from serving.coinbase.rest import CoinbaseApi
from serving.coinbase.track import TrackApi
from serving.directory import Directory, ServedExchange
from serving.native.errors import as_json
from serving.refusals import NONE, Refused
from serving.rows import RowReader
from serving.streams.hub import Hub

SECONDS_TO_LEAVE = 2.0
OF_COINBASE = "brokerage/"
SOCKET_PATHS = ("/ws", "/ws/{streams:.*}", "/stream", "/stream/{rest:.*}")


class KnownExchanges:
    """The exchanges of the database, by the names that addresses have."""

    def __init__(self, directory: Directory, reader: RowReader):
        self._directory = directory
        self._reader = reader

    async def find(self, name: str) -> ServedExchange:
        """Return the one of a name. Raises Refused where there is none, or nobody knows."""
        await self.read(name)
        found = self._directory.exchanges.get(name)
        if found is None:
            known = ", ".join(sorted(self._directory.exchanges)) or "none"
            raise Refused(404, NONE, f"There is no exchange {name[:50]!a}; known: {known}")
        return found

    async def read(self, name: str) -> list[ServedExchange]:
        """Return all of them, by name, as they are known now; `name` is the one asked for, if any.

        Raises Refused where the database is away and that isn't known.
        """
        await self._reader.read(self._directory, name)
        return [each for _, each in sorted(self._directory.exchanges.items())]


class Protocols:
    """Answers in the protocols of exchanges."""

    def __init__(
        self, known: KnownExchanges, binance: BinanceApi, coinbase: CoinbaseApi, track: TrackApi
    ):
        self._known = known
        self._binance = binance
        self._coinbase = coinbase
        self._track = track

    def add_to(self, router: web.UrlDispatcher, start: str) -> None:
        """Add its addresses, each behind `start`."""
        router.add_route("*", f"{start}/{{exchange}}/api/v3/{{path:.*}}", self._api)
        router.add_route("*", f"{start}/{{exchange}}/fapi/v1/{{path:.*}}", self._futures)
        router.add_get(f"{start}/{{exchange}}/v2/{{path:.*}}", self._v2)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._known.find(request.match_info["exchange"])
        path = request.match_info["path"]
        if path.startswith(OF_COINBASE):
            if request.method not in READS:
                raise web.HTTPMethodNotAllowed(request.method, READS)
            return await self._coinbase.answer(
                exchange, path.removeprefix(OF_COINBASE), request.query
            )
        return await self._binance.answer(
            exchange, path, request.query, request.headers, request.method
        )

    async def _futures(self, request: web.Request) -> web.StreamResponse:
        """Answer of perpetuals alone, where programs of Binance's futures ask for them."""
        name, path = request.match_info["exchange"], request.match_info["path"]
        exchange = (await self._known.find(name)).perpetuals
        if exchange is None:
            raise Refused(404, NONE, f"{name} lists no perpetuals")
        return await self._binance.answer(
            exchange, path, request.query, request.headers, request.method
        )

    async def _v2(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._known.find(request.match_info["exchange"])
        return await self._track.answer(exchange, request.match_info["path"], request.query)


class Sockets:
    """WebSockets of Binance's protocol."""

    def __init__(self, known: KnownExchanges, answers: Answers, hub: Hub, staying: Staying):
        self._known = known
        self._answers = answers
        self._hub = hub
        self._staying = staying
        self._open: set[BinanceSocket] = set()

    def add_to(self, router: web.UrlDispatcher, start: str) -> None:
        """Add its addresses, each behind `start`."""
        for path in SOCKET_PATHS:
            router.add_get(f"{start}/{{exchange}}{path}", self._answer, allow_head=False)

    async def close(self) -> None:
        """Tell who listens to connect anew: to the next server, or to another of us."""
        if leaving := [asyncio.create_task(each.go_away()) for each in self._open]:
            await asyncio.wait(leaving, timeout=SECONDS_TO_LEAVE)  # for who does not answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._known.find(request.match_info["exchange"])
        try:
            in_microseconds = is_microsecond(request.query.get(PARAMETER))
        except ApiError as error:
            return as_json(error.content, 400)
        try:
            if not await self._answers.cached.is_streamed(exchange):
                raise Unavailable(f"nobody streams {exchange.name} now")
        except Unavailable as error:
            headers = {"Retry-After": str(error.retry_seconds)}
            return as_json({"code": BUSY, "msg": str(error)}, 503, headers)
        return await self._serve(request, exchange, in_microseconds)

    async def _serve(
        self, request: web.Request, exchange: ServedExchange, in_microseconds: bool
    ) -> web.StreamResponse:
        def note_drop(reason: str) -> None:
            self._staying.note_drop(exchange, reason)

        def is_streamed() -> bool:
            return self._answers.cached.is_streamed_now(exchange)

        socket = BinanceSocket(
            *(self._hub, exchange, _is_combined(request), is_streamed, note_drop, in_microseconds)
        )

        async def serve() -> web.StreamResponse:
            self._open.add(socket)
            try:
                return await socket.serve(request, _streams(request))
            finally:
                self._open.discard(socket)

        def end() -> None:
            socket.drop(NO_LEAVE)

        return await self._staying.serve(request, exchange, serve, end)


def _is_combined(request: web.Request) -> bool:
    route = request.match_info.route.resource
    return route is not None and "/stream" in route.canonical


def _streams(request: web.Request) -> list[str]:
    """Return the streams that an address names."""
    named = request.match_info.get("streams")
    # A plus in a query reads as a space, of which a name has none: btcusd@kline_1h@+08:00.
    names = request.query.get("streams", "").replace(" ", "+") if named is None else named
    return [each for each in names.split("/") if each]
