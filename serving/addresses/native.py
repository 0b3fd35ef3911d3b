"""Addresses below /v1/: our own interface, and its events."""

from aiohttp import web
from redis import Redis

from serving.addresses.exchanges import KnownExchanges
from serving.addresses.staying import Staying
from serving.candles.answers import Answers
from serving.candles.unavailable import Unavailable
from serving.native.api import NativeApi
from serving.native.errors import REFUSALS, refusal
from serving.native.events import EventSource, send
from serving.native.operations import OPERATIONS
from serving.reading import CacheReader
from serving.streams.feed import Feed


class NativeAddresses:
    """Answers each operation of ours at its path."""

    def __init__(
        self,
        known: KnownExchanges,
        native: NativeApi,
        events: "Events",
    ):
        self._known = known
        self._native = native
        self._events = events

    def add_to(self, router: web.UrlDispatcher, start: str) -> None:
        """Add its addresses, each behind `start`."""
        for path, operation in OPERATIONS.items():
            handler = self._events.answer if operation.stays else self._answer
            router.add_get(f"{start}/v1/{path}", handler, allow_head=not operation.stays)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rpartition("/")[2]
        if OPERATIONS[path].needs_exchanges:
            await self._known.read(request.query.get("exchange", ""))
        return await self._native.answer(path, request)


class Events:
    """Streams of closes, which resume."""

    def __init__(
        self,
        redis: Redis,
        reader: CacheReader,
        feed: Feed,
        known: KnownExchanges,
        native: NativeApi,
        answers: Answers,
        staying: Staying,
    ):
        self._redis = redis
        self._reader = reader
        self._feed = feed
        self._known = known
        self._native = native
        self._answers = answers
        self._staying = staying
        self._open: set[EventSource] = set()

    def end(self) -> None:
        """End those that are open."""
        for source in self._open:
            source.end()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await self._known.read(request.query.get("exchange", ""))
        try:
            wanted = self._native.events(request)
            await self._answers.cached.is_streamed(wanted.exchange)  # from now on that is known
        except REFUSALS as error:
            return refusal(error)
        exchange = wanted.exchange
        source = EventSource(self._redis, self._reader, self._feed, exchange)

        def is_streamed() -> bool:
            return self._answers.cached.is_streamed_now(exchange)

        async def serve() -> web.StreamResponse:
            self._open.add(source)
            try:
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
                self._open.discard(source)
                if source.is_slow:
                    self._staying.note_drop(exchange, "slow")

        return await self._staying.serve(request, exchange, serve, source.end)
