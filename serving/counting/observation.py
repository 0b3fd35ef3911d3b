"""What each request costs and what became of it, counted as it is answered."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from serving.counting.asked import begin
from serving.counting.reports import Reports
from serving.counting.routes import CANDLES, SOCKET, route_of
from serving.refusals import BrokenOff

GONE = 499  # the client went before there was an answer
DONE, UPGRADED, FAULT = 200, 101, 500
STAYS = web.RequestKey("stays", bool)  # its connection is streamed to, until the client goes
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Observation:
    """Counts requests in `reports`.

    `exchange_of` names the exchange that a request is about, `reader_of` who was let in with it,
    None where nobody was.
    """

    def __init__(
        self,
        reports: Reports,
        exchange_of: Callable[[web.Request], str],
        reader_of: Callable[[web.Request], str | None],
    ):
        self._reports = reports
        self._exchange_of = exchange_of
        self._reader_of = reader_of

    @web.middleware
    async def observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request be answered, and count it."""
        asked, began = begin(), time.monotonic()
        status, outcome, stayed = GONE, "", False
        try:
            response = await handler(request)
            status = response.status
            stayed = status == UPGRADED or response.content_type == "text/event-stream"
            if route_of(request) in CANDLES:
                outcome = asked.outcome(response.headers.get("Cache-Status", ""))
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        except ConnectionError as error:  # else the client has gone
            status = FAULT if isinstance(error, BrokenOff) else GONE
            raise
        except Exception:
            status = FAULT
            raise
        finally:
            if status == GONE and request.get(STAYS):
                status = UPGRADED if route_of(request) == SOCKET else DONE
                stayed = True
            stayed = stayed or status == GONE
            seconds = None if stayed else time.monotonic() - began - asked.held_seconds
            self._count(request, status, outcome, seconds)

    def _count(
        self, request: web.Request, status: int, outcome: str, seconds: float | None
    ) -> None:
        """Count a request; one that stayed open, or was given up, took no `seconds`."""
        counts, route = self._reports.counts, route_of(request)
        exchange = self._exchange_of(request)
        counts.add("requests_total", exchange, route, str(status))
        if outcome:
            counts.add("candle_answers_total", exchange, outcome)
        if seconds is not None:
            counts.observe("answer_seconds", route, seconds=seconds)
        reader = self._reader_of(request)
        if exchange and reader is not None and seconds is not None:
            self._reports.readers.answered(reader, exchange, outcome, seconds)
