"""The HTTP server of candles: what it is made of, and how it begins and ends."""

import asyncio
import secrets
from collections.abc import Callable

from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis

from livermore.market.pair import Pair
from serving.addresses.exchanges import KnownExchanges, Protocols, Sockets
from serving.addresses.native import Events, NativeAddresses
from serving.addresses.signposts import Signposts
from serving.addresses.staying import Staying
from serving.addresses.watching import Watching
from serving.admission import READER, Admission, exchange_named
from serving.binance.rest import BinanceApi
from serving.candles.answers import Answers
from serving.candles.cached import Cached
from serving.candles.clocks import Clocks
from serving.candles.history import History
from serving.candles.tickers import Tickers
from serving.candles.unavailable import Unavailable
from serving.candles.weights import UsedWeights
from serving.coinbase.rest import CoinbaseApi
from serving.coinbase.track import TrackApi
from serving.counting.observation import Observation
from serving.counting.reports import Reports
from serving.directory import Directory, numbered
from serving.fetching.calls import Calls
from serving.fetching.fetches import Fetches
from serving.fetching.passing import Passing
from serving.health import Health
from serving.memory.windows import Window, Windows
from serving.native.api import NativeApi
from serving.native.form import say_what_there_is
from serving.reading import CacheReader
from serving.refusals import challenge, refuse_in_form
from serving.rows import RowReader
from serving.streams.feed import Feed
from serving.streams.hub import Hub
from serving.streams.order import Told
from serving.streams.payloads import Payloads
from serving.together.answers import AnswersBeside
from serving.together.once import Once
from serving.transport.connections import MOST, Connections
from serving.transport.protocol import Connection, Site, tell_name

GRACE_SECONDS = 5.0
STARTS = "", "/k/{token}"  # what all addresses but those of who watches may begin with


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
        history: History | None = None,
    ):
        """`url` is that of the same Redis, for those who read it in the event loop.

        Older candles are in `history`, if that is given. `is_open` lets those in who bring no
        token. Processes that serve together share a `server_id`. `/metrics` is there for who brings
        `metrics_token`, if that is set.
        """
        self.directory = directory or Directory()
        self._clocks = Clocks(redis)
        self._cache_reader, self._reader = CacheReader(), RowReader()
        self._windows = Windows(redis)
        calls = Calls()
        once = Once(calls, AnswersBeside(redis))
        fetches = Fetches(redis, calls, once)
        self._history = history
        self._cached = Cached(self._windows, self._clocks, self._cache_reader)
        self._answers = Answers(self._cached, fetches, history)
        self._payloads = Payloads(self.directory, self._clocks)
        self._feed = Feed(
            *(redis, url, self._deliver, self._window, self._clocks.now_ms, self._monitored)
        )
        self._hub = Hub(self._feed.want, self._feed.unwant)
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
        self._make_addresses(redis, Passing(once), metrics_token)

    def _make_addresses(self, redis: Redis, passing: Passing, metrics_token: str) -> None:
        answers, reader = self._answers, self._cache_reader
        known = KnownExchanges(self.directory, self._reader)
        staying = Staying(self._admission, self._reports)
        native = NativeApi(redis, reader, self.directory, answers)
        self._events = Events(redis, reader, self._feed, known, native, answers, staying)
        self._sockets = Sockets(known, answers, self._hub, staying)
        health = Health(redis, lambda: self._reader.read_now(self.directory))
        self._watching = Watching(health, self._reports, self._admission, metrics_token)
        tickers, weights = Tickers(redis, reader), UsedWeights(redis, reader)
        protocols = Protocols(
            known,
            BinanceApi(answers, tickers, passing, weights),
            CoinbaseApi(answers, passing),
            TrackApi(answers, passing),
        )
        natives, signposts = NativeAddresses(known, native, self._events), Signposts(known)
        self._addresses = signposts, natives, protocols, self._sockets

    def application(self) -> web.Application:
        admission, observation = self._admission, self._observation
        forms = refuse_in_form, say_what_there_is
        app = web.Application(middlewares=[observation.observe, *forms, admission.admit])
        app.on_response_prepare.extend([tell_name, challenge])
        app.on_startup.append(self._begin)
        app.on_shutdown.append(self._close_sockets)
        app.on_cleanup.append(self._end)
        self._watching.add_to(app.router)
        for start in STARTS:
            for each in self._addresses:
                each.add_to(app.router, start)
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
        self._cached.end()
        self._events.end()
        await self._sockets.close()

    async def _end(self, app: web.Application) -> None:
        self._reporting.cancel()
        self._admission.close()
        await self._reports.withdraw()
        self._windows.close()
        self._clocks.close()
        self._cache_reader.close()
        if self._history:
            self._history.close()
        await self._feed.close()
        await sync_to_async(self._reader.close, thread_sensitive=False)()

    def _deliver(self, told: list[Told]) -> None:
        self._hub.publish(self._payloads.of(told))

    async def _window(self, exchange_id: int, pair: Pair) -> Window:
        """Return what the cache has of a pair. Raises Unavailable."""
        exchange = numbered(self.directory, exchange_id)
        if exchange is None:
            raise Unavailable("the exchange is gone")
        return await self._cached.window(exchange, pair)

    def _monitored(self, exchange_id: int) -> list[str]:
        """Return the symbols of an exchange that are kept live."""
        exchange = numbered(self.directory, exchange_id)
        known = exchange.symbols.values() if exchange else ()
        return sorted({each.symbol for each in known if each.is_monitored})
