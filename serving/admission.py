"""Who is let in: on this machine anybody, from elsewhere API clients, each within its limits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from django.conf import settings
from redis import Redis

from serving import directory, origins
from serving.clients import Caller, Callers, is_due, is_sent_by_browsers, token_of
from serving.counting.asked import note_client
from serving.counting.exposition import Counts
from serving.directory import ServedExchange
from serving.limits.guesses import Guesses, place_of
from serving.limits.requests import RequestLimits
from serving.limits.sockets import SocketLimits
from serving.refusals import NO_KEY, TOO_MANY, UNAUTHORIZED, Refused, refusal
from serving.rows import RowReader

NOT_COUNTED = ("/health/", "/metrics")  # anybody may ask for the one, the other has its own token
METRICS = 0  # in place of an API client's number: whoever has that token
CALLER = web.RequestKey("caller", Caller)
READER = web.RequestKey("reader", str)  # its name, "" without a token; of those who were let in
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admission:
    """Lets requests in, and connections that stay open; counts in `counts` whom it refuses."""

    def __init__(
        self,
        redis: Redis,
        reader: RowReader,
        counts: Counts,
        *,
        is_open: bool,
        is_shared: bool,
    ):
        """`reader` reads the API clients from the database.

        `is_open` lets those in who bring no token. `is_shared`: other processes serve as well.
        """
        self._reader = reader
        self._counts = counts
        self._is_open = is_open
        self._callers = Callers()
        self._requests = RequestLimits(redis) if is_shared else None
        self._sockets = SocketLimits(redis)
        self._guesses = Guesses(redis)
        self._staying: dict[Callable[[], object], str] = {}  # what ends it, by digest of a token

    def start(self) -> None:
        self._sockets.start()
        self._watching = asyncio.create_task(self._end_unwanted())

    def close(self) -> None:
        self._watching.cancel()
        self._sockets.close()

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who may ask, and no more than that."""
        if request.path in NOT_COUNTED:
            return await handler(request)
        if "signature" in request.query or "CB-ACCESS-SIGN" in request.headers:
            text = "Public market data is served here, and no signed call"
            return self._refuse(request, "signed", 401, NO_KEY, text)
        in_path = request.match_info.get("token")
        if is_sent_by_browsers(request.headers, in_path):
            why = origins.of_page(request.headers)
            if not why and self._is_open:
                why = origins.of_host(request.headers.get("Host"), settings.ALLOWED_HOSTS)
            if why:
                return self._refuse(request, "page", 403, UNAUTHORIZED, why)
        try:
            token = token_of(request.headers, in_path)
        except web.HTTPUnauthorized:
            text = "The Authorization header holds no token"
            return self._refuse(request, "token", 401, NO_KEY, text)
        if token is None:
            if self._is_open:
                request[READER] = ""
                note_client(place_of(request.remote))
                return await handler(request)
            text = "A token is needed: that of an API client in the admin"
            return self._refuse(request, "no token", 401, NO_KEY, text)
        found = await self._caller(request, token)
        if isinstance(found, web.Response):
            return found
        request[CALLER], request[READER] = found, found.name
        note_client(f"client {found.number}")
        return await handler(request)

    async def _caller(self, request: web.Request, token: str) -> Caller | web.Response:
        """Return whose token that is, where that client may ask now, else the refusal."""
        await self._reader.read(self._callers, token)
        caller = self._callers.who(token)
        client_id = caller.number if caller else None
        if refused := await self.refused_guess(request, token, client_id):
            return refused
        if caller is None:
            text = "No active API client has this token"
            return self._refuse(request, "token", 401, NO_KEY, text)
        if not await self._may_ask(caller):
            text = f"{caller.name} may send {caller.requests_per_second} requests a second"
            headers = {"Retry-After": "1"}
            return self._refuse(request, "requests", 429, TOO_MANY, text, headers, caller)
        if is_due(caller):
            self._reader.write(self._callers.note_seen, caller)
        return caller

    async def refused_guess(
        self, request: web.Request, token: str, client_id: int | None
    ) -> web.Response | None:
        """Return the refusal of one who has tried too many tokens, None where it may try this one.

        `client_id` says whose token it is, None that it is nobody's.
        """
        place = place_of(request.remote)
        if seconds := await self._guesses.seconds_to_wait(place, token, client_id):
            text = f"Too many wrong tokens came from {place}"
            headers = {"Retry-After": str(seconds)}
            return self._refuse(request, "guesses", 429, TOO_MANY, text, headers)
        if client_id is not None:
            await self._guesses.note_right(client_id, place)
        return None

    async def stay(
        self,
        request: web.Request,
        serve: Callable[[], Awaitable[web.StreamResponse]],
        end: Callable[[], object],
    ) -> web.StreamResponse:
        """Serve a connection that stays open, where its client may have one more.

        `end` is called where its token lets nobody in any more.
        """
        caller = request.get(CALLER)
        if caller is None:
            return await serve()
        socket_id = await self._sockets.enter(caller)
        if socket_id is None:
            text = f"{caller.name} has {caller.sockets} connections open, and may not have more"
            headers = {"Retry-After": "60"}
            return self._refuse(request, "sockets", 429, TOO_MANY, text, headers, caller)
        self._staying[end] = caller.digest
        try:
            return await serve()
        finally:
            self._staying.pop(end, None)
            # That goes on where this is broken off, as the client has gone.
            await asyncio.shield(asyncio.ensure_future(self._sockets.leave(socket_id)))

    async def _end_unwanted(self) -> None:
        """End what stays open with a token that lets nobody in any more."""
        while True:
            await asyncio.sleep(directory.SECONDS_BETWEEN_READS)
            if not self._staying:
                continue
            try:
                await self._reader.read(self._callers, "")
            except Refused:  # the database is away
                continue
            for end, digest in list(self._staying.items()):
                if digest not in self._callers.by_digest:
                    del self._staying[end]
                    end()

    async def _may_ask(self, caller: Caller) -> bool:
        return await self._requests.may_ask(caller) if self._requests else caller.may_ask()

    def _refuse(
        self,
        request: web.Request,
        reason: str,
        status: int,
        code: int,
        text: str,
        headers: Mapping[str, str] | None = None,
        caller: Caller | None = None,
    ) -> web.Response:
        """Return a refusal, which is counted."""
        self._counts.add("refused_total", caller.name if caller else "", reason)
        return refusal(request, status, code, text, headers)


def exchange_named(request: web.Request, known: Mapping[str, ServedExchange]) -> str:
    """Return the name of the exchange that a request is about, "" where there is none of it."""
    name = request.match_info.get("exchange") or request.query.get("exchange", "")
    return name if name in known else ""
