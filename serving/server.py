"""The HTTP server of candles: who is asked for what, and how it begins and ends."""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from asgiref.sync import sync_to_async
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from redis import Redis

from exchanges.redis.unreadable import warn_once
from exchanges.venues.binance.server.errors import ApiError
from livermore.market.candle import Ticker
from livermore.market.pair import Pair
from serving.admission import METRICS, READER, Admission, exchange_named
from serving.binance import streams
from serving.binance.replies import BUSY, READS
from serving.binance.rest import BinanceApi
from serving.binance.socket import NO_LEAVE, BinanceSocket
from serving.binance.time_unit import PARAMETER, is_microsecond
from serving.candles.answers import Answers
from serving.candles.clocks import Clocks
from serving.candles.tickers import Tickers
from serving.candles.unavailable import Unavailable
from serving.candles.weights import UsedWeights
from serving.candles.windows import Window, Windows
from serving.coinbase.rest import CoinbaseApi
from serving.coinbase.track import TrackApi
from serving.counting.observation import STAYS, Observation
from serving.counting.reports import Reports
from serving.directory import Directory, ServedExchange
from serving.fetching.calls import Calls
from serving.fetching.fetches import Fetches
from serving.fetching.passing import Passing
from serving.health import Health
from serving.native.api import NativeApi
from serving.native.errors import REFUSALS, as_json, refusal
from serving.native.events import EventSource, send
from serving.native.form import say_what_there_is
from serving.native.operations import OPERATIONS
from serving.reading import CacheReader
from serving.refusals import NONE, Refused, refuse_in_form
from serving.rows import RowReader
from serving.streams.feed import ALL, Feed
from serving.streams.hub import Hub, Topic
from serving.streams.order import Told
from serving.together.answers import AnswersBeside
from serving.together.once import Once
from serving.transport.connections import MOST, Connections
from serving.transport.protocol import Connection, Site, tell_name

logger = logging.getLogger(__name__)

GRACE_SECONDS, SECONDS_TO_LEAVE = 5.0, 2.0
OF_COINBASE = "brokerage/"
SOCKET_PATHS = ("/ws", "/ws/{streams:.*}", "/stream", "/stream/{rest:.*}")
TICKERS = {streams.TICKER: streams.ticker, streams.MINI_TICKER: streams.mini_ticker}


class Server:
    """Serves every exchange of the database from what is in Redis."""

    def __init__(
        self,
        redis: Redis,
        url: str,
        *,
        is_open: bool = True,
        directory: Directory | None = None,
        server_id: str | None = None,
        metrics_token: str = "",
    ):
        """`url` is that of the same Redis, for those who read it in the event loop.

        `is_open` lets those in who bring no token. Processes that serve together share a
        `server_id`. `/metrics` is there for who brings `metrics_token`, if that is set.
        """
        self._clocks = Clocks(redis)
        self._cache_reader = reader = CacheReader()
        self._windows = Windows(redis)
        self.directory = directory or Directory()
        calls = Calls()
        once = Once(calls, AnswersBeside(redis))
        fetches = Fetches(redis, calls, once)
        self._answers = answers = Answers(self._windows, self._clocks, fetches, reader)
        self._redis = redis
        passing = Passing(once)
        self._binance = BinanceApi(
            answers, Tickers(redis, reader), passing, UsedWeights(redis, reader)
        )
        self._coinbase = CoinbaseApi(answers, passing)
        self._track = TrackApi(answers, passing)
        self._native = NativeApi(redis, reader, self.directory, answers)
        self._feed = Feed(
            *(redis, url, self._deliver, self._window, self._clocks.now_ms, self._monitored)
        )
        self._hub = Hub(self._feed.want, self._feed.unwant)
        self._reader = RowReader()
        self._health = Health(redis, lambda: self._reader.read_now(self.directory))
        self._sockets: set[BinanceSocket] = set()
        self._event_sources: set[EventSource] = set()
        self._metrics_token = metrics_token
        self._reports = Reports(redis, server_id or secrets.token_hex(8))
        self._admission = Admission(
            *(redis, self._reader, self._reports.counts),
            is_open=is_open,
            is_shared=server_id is not None,
        )
        self._observation = Observation(
            self._reports,
            lambda request: exchange_named(request, self.directory.exchanges),
            lambda request: request.get(READER),
        )

    def application(self) -> web.Application:
        admission, observation = self._admission, self._observation
        forms = refuse_in_form, say_what_there_is
        app = web.Application(middlewares=[observation.observe, *forms, admission.admit])
        app.on_response_prepare.append(tell_name)
        app.on_startup.append(self._begin)
        app.on_shutdown.append(self._close_sockets)
        app.on_cleanup.append(self._end)
        app.router.add_get("/health/", self._say_health)
        app.router.add_get("/metrics", self._metrics)
        for start in ("", "/k/{token}"):
            for path, operation in OPERATIONS.items():
                handler = self._events if operation.stays else self._v1
                app.router.add_get(f"{start}/v1/{path}", handler, allow_head=not operation.stays)
            app.router.add_route("*", f"{start}/{{exchange}}/api/v3/{{path:.*}}", self._api)
            app.router.add_get(f"{start}/{{exchange}}/v2/{{path:.*}}", self._v2)
            for path in SOCKET_PATHS:
                address = f"{start}/{{exchange}}{path}"
                app.router.add_get(address, self._socket, allow_head=False)
        return app

    async def run(
        self,
        host: str,
        port: int,
        ending: asyncio.Event,
        begun: Callable[[], object],
        *,
        beside_others: bool = False,
        most: int = MOST,
    ) -> None:
        """Serve until `ending` is set; `begun` is called once it listens.

        `beside_others` lets other processes listen there too; `most` connections there may be.
        Raises OSError where the address is taken.
        """
        runner = await self.listen(host, port, beside_others=beside_others, most=most)
        try:
            begun()
            await ending.wait()
        finally:
            await runner.cleanup()

    async def listen(
        self, host: str, port: int, *, beside_others: bool = False, most: int = MOST
    ) -> web.AppRunner:
        """Begin to serve, `most` connections at a time; who ends that calls the runner's `cleanup`.

        Raises OSError where the address is taken.
        """
        runner = web.AppRunner(
            self.application(),
            shutdown_timeout=GRACE_SECONDS,
            handler_cancellation=True,  # who has gone is worked for no longer
        )
        await runner.setup()
        connections = Connections(most)

        def make() -> Connection:
            assert runner.server is not None
            return Connection(runner.server, connections, self._note_no_request)

        try:
            await Site(runner, host, port, make, beside_others=beside_others).start()
        except BaseException:
            await runner.cleanup()
            raise
        return runner

    def _note_no_request(self) -> None:
        self._reports.counts.add("refused_total", "", "no request")

    async def _begin(self, app: web.Application) -> None:
        self._windows.start()
        self._clocks.start()
        self._feed.start()
        self._admission.start()
        self._reporting = asyncio.create_task(self._reports.run())

    async def _close_sockets(self, app: web.Application) -> None:
        """Tell who listens to connect anew: to the next one, or to another of us."""
        self._answers.end()
        for source in self._event_sources:
            source.end()
        if leaving := [asyncio.create_task(each.go_away()) for each in self._sockets]:
            await asyncio.wait(leaving, timeout=SECONDS_TO_LEAVE)  # for who does not answer

    async def _end(self, app: web.Application) -> None:
        self._reporting.cancel()
        self._admission.close()
        await self._reports.withdraw()
        self._windows.close()
        self._clocks.close()
        self._cache_reader.close()
        await self._feed.close()
        await sync_to_async(self._reader.close, thread_sensitive=False)()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._exchange(request)
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

    async def _v2(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._exchange(request)
        return await self._track.answer(exchange, request.match_info["path"], request.query)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._exchange(request)
        named = request.match_info.get("streams")
        route = request.match_info.route.resource
        is_combined = route is not None and "/stream" in route.canonical
        # A plus in a query reads as a space, of which a name has none: btcusd@kline_1h@+08:00.
        names = request.query.get("streams", "").replace(" ", "+") if named is None else named
        sent = [each for each in names.split("/") if each]
        try:
            in_microseconds = is_microsecond(request.query.get(PARAMETER))
        except ApiError as error:
            return as_json(error.content, 400)

        def note_drop(reason: str) -> None:
            self._reports.counts.add("readers_dropped_total", exchange.name, reason)

        def is_streamed() -> bool:
            return self._clocks.is_streamed(exchange.exchange_id)

        try:
            if not await self._answers.is_streamed(exchange):
                raise Unavailable(f"nobody streams {exchange.name} now")
        except Unavailable as error:
            headers = {"Retry-After": str(error.retry_seconds)}
            return as_json({"code": BUSY, "msg": str(error)}, 503, headers)
        socket = BinanceSocket(
            *(self._hub, exchange, is_combined, is_streamed, note_drop, in_microseconds)
        )

        async def serve() -> web.StreamResponse:
            self._sockets.add(socket)
            try:
                with self._counted(request, exchange):
                    return await socket.serve(request, sent)
            finally:
                self._sockets.discard(socket)

        def end() -> None:
            socket.drop(NO_LEAVE)

        return await self._admission.stay(request, serve, end)

    @contextmanager
    def _counted(self, request: web.Request, exchange: ServedExchange) -> Iterator[None]:
        """Count a connection as long as it is open."""
        readers, name = self._reports.readers, request.get(READER, "")
        request[STAYS] = True
        readers.opened(name, exchange.name)
        try:
            yield
        finally:
            readers.closed(name, exchange.name)

    async def _say_health(self, request: web.Request) -> web.StreamResponse:
        """Say whether Redis and the database can be read: 503 names what can't."""
        if failing := await self._health.failing():
            return as_json({"status": "unavailable", "failing": failing}, 503)
        return as_json({"status": "ok"})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        """Tell Prometheus what all processes of this server have counted."""
        if not self._metrics_token:
            raise web.HTTPNotFound
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sent = token.strip()
        is_token = scheme.lower() == "bearer" and sent.isascii() and sent != ""
        is_right = is_token and hmac.compare_digest(sent, self._metrics_token)
        if is_token:
            whose = METRICS if is_right else None
            if refused := await self._admission.refused_guess(request, sent, whose):
                return refused
        if not is_right:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        registry = CollectorRegistry(auto_describe=False)
        registry.register(await self._reports.collector())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def _v1(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rpartition("/")[2]
        if OPERATIONS[path].needs_exchanges:
            await self._reader.read(self.directory, request.query.get("exchange", ""))
        return await self._native.answer(path, request)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        await self._reader.read(self.directory, request.query.get("exchange", ""))
        try:
            wanted = self._native.events(request)
            await self._answers.is_streamed(wanted.exchange)  # from now on that is known
        except REFUSALS as error:
            return refusal(error)
        exchange = wanted.exchange
        source = EventSource(self._redis, self._cache_reader, self._feed, exchange)

        def is_streamed() -> bool:
            return self._clocks.is_streamed(exchange.exchange_id)

        async def serve() -> web.StreamResponse:
            self._event_sources.add(source)
            try:
                with self._counted(request, exchange):
                    return await send(
                        request,
                        source,
                        wanted.after,
                        wanted.symbols,
                        wanted.timeframes,
                        is_streamed,
                    )
            except Unavailable as error:
                return refusal(error)
            finally:
                self._event_sources.discard(source)
                if source.is_slow:
                    self._reports.counts.add("readers_dropped_total", exchange.name, "slow")

        return await self._admission.stay(request, serve, source.end)

    async def _exchange(self, request: web.Request) -> ServedExchange:
        name = request.match_info["exchange"]
        await self._reader.read(self.directory, name)
        found = self.directory.exchanges.get(name)
        if found is None:
            known = ", ".join(sorted(self.directory.exchanges)) or "none"
            raise Refused(404, NONE, f"There is no exchange {name[:50]!a}; known: {known}")
        return found

    def _deliver(self, told: list[Told]) -> None:
        self._hub.publish(self._payloads(told))

    def _payloads(self, told: Iterable[Told]) -> Iterator[tuple[Topic, bytes]]:
        for topic, message in told:
            if topic.symbol:
                if payload := self._read_payload(topic, message):
                    yield topic, payload
                continue
            each = [self._read_payload(topic, one) for one in message[ALL]]
            if readable := [payload for payload in each if payload]:
                yield topic, b"[%s]" % b",".join(readable)

    def _read_payload(self, topic: Topic, message: dict[str, Any]) -> bytes | None:
        try:
            return self._payload(topic, message)
        except (LookupError, TypeError, ValueError) as error:  # somebody else wrote it
            warn_once(logger, f"{topic.kind} {topic.symbol}", error)
            return None

    def _payload(self, topic: Topic, message: dict[str, Any]) -> bytes:
        now_ms = self._clocks.now_ms(topic.exchange_id)
        word = self._word(topic.exchange_id, topic.symbol or message["symbol"])
        if topic.kind == streams.KLINE:
            return streams.kline(message, word, now_ms, bool(message.get("closed")))
        return TICKERS[topic.kind](Ticker.from_json(message), word, now_ms)

    def _word(self, exchange_id: int, symbol: str) -> str:
        """Return a symbol as clients know it."""
        exchange = self._numbered(exchange_id)
        found = exchange and exchange.symbols.get(symbol)
        return found.word if found else symbol

    async def _window(self, exchange_id: int, pair: Pair) -> Window:
        """Return what the cache has of a pair. Raises Unavailable."""
        exchange = self._numbered(exchange_id)
        if exchange is None:
            raise Unavailable("the exchange is gone")
        return await self._answers.window(exchange, pair)

    def _monitored(self, exchange_id: int) -> list[str]:
        """Return the symbols of an exchange that are kept live."""
        exchange = self._numbered(exchange_id)
        known = exchange.symbols.values() if exchange else ()
        return sorted({each.symbol for each in known if each.is_monitored})

    def _numbered(self, exchange_id: int) -> ServedExchange | None:
        for exchange in self.directory.exchanges.values():
            if exchange.exchange_id == exchange_id:
                return exchange
        return None
