"""Connections that stay open: who may have one more, how many there are, and which were dropped."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from serving.admission import READER, Admission
from serving.counting.observation import STAYS
from serving.counting.reports import Reports
from serving.directory import ServedExchange


class Staying:
    """Lets connections stay open, and counts them."""

    def __init__(self, admission: Admission, reports: Reports):
        self._admission = admission
        self._reports = reports

    async def serve(
        self,
        request: web.Request,
        exchange: ServedExchange,
        serve: Callable[[], Awaitable[web.StreamResponse]],
        end: Callable[[], object],
    ) -> web.StreamResponse:
        """Return what `serve` returns, where its client may have one more connection.

        `end` is called where its token lets nobody in any more.
        """

        async def counted() -> web.StreamResponse:
            with self._counted(request, exchange):
                return await serve()

        return await self._admission.stay(request, counted, end)

    def note_drop(self, exchange: ServedExchange, reason: str) -> None:
        """Count one that was ended."""
        self._reports.counts.add("readers_dropped_total", exchange.name, reason)

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
