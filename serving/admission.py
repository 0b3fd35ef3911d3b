"""Who is let in: on this machine anybody, from elsewhere API clients, each within its limits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from asgiref.sync import sync_to_async
from redis import Redis

from serving import directory
from serving.clients import Caller, Callers, is_due, token_of
from serving.counting.exposition import Counts
from serving.directory import ServedExchange
from serving.limits.requests import RequestLimits
from serving.limits.sockets import SocketLimits

TOO_MANY, NO_KEY = -1003, -2015
NOT_COUNTED = ("/health/", "/metrics")  # anybody may ask for the one, the other has its own token
CALLER = web.RequestKey("caller", Caller)
READER = web.RequestKey("reader", str)  # its name, "" without a token; of those who were let in
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admission:
    """Lets requests in, and connections that stay open; counts in `counts` whom it refuses."""

    def __init__(
        self,
        redis: Redis,
        read: Callable[[Callers, str], Awaitable[None]],
        counts: Counts,
        *,
        is_open: bool,
        is_shared: bool,
    ):
        """`read` reads the API clients from the database where that is due to know one of them.

        `is_open` lets those in who bring no token. `is_shared`: other processes serve as well.
        """
        self._read = read
        self._counts = counts
        self._is_open = is_open
        self._callers = Callers()
        self._requests = RequestLimits(redis) if is_shared else None
        self._sockets = SocketLimits(redis)
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
            return self._refuse("signed", 401, NO_KEY, text)
        try:
            token = token_of(request.headers, request.match_info.get("token"))
        except web.HTTPUnauthorized:
            return self._refuse("token", 401, NO_KEY, "The Authorization header holds no token")
        if token is None:
            if self._is_open:
                request[READER] = ""
                return await handler(request)
            text = "A token is needed: that of an API client in the admin"
            return self._refuse("no token", 401, NO_KEY, text)
        await self._read(self._callers, token)
        caller = self._callers.who(token)
        if caller is None:
            return self._refuse("token", 401, NO_KEY, "No active API client has this token")
        if not await self._may_ask(caller):
            text = f"{caller.name} may send {caller.requests_per_second} requests a second"
            headers = {"Retry-After": "1"}
            return self._refuse("requests", 429, TOO_MANY, text, headers, caller.name)
        if is_due(caller):
            await sync_to_async(self._callers.note_seen)(caller)
        request[CALLER], request[READER] = caller, caller.name
        return await handler(request)

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
            return self._refuse("sockets", 429, TOO_MANY, text, headers, caller.name)
        self._staying[end] = caller.digest
        try:
            return await serve()
        finally:
            self._staying.pop(end, None)
            await self._sockets.leave(socket_id)

    async def _end_unwanted(self) -> None:
        """End what stays open with a token that lets nobody in any more."""
        while True:
            await asyncio.sleep(directory.SECONDS_BETWEEN_READS)
            if not self._staying:
                continue
            try:
                await self._read(self._callers, "")
            except web.HTTPException:  # the database is away
                continue
            for end, digest in list(self._staying.items()):
                if digest not in self._callers.by_digest:
                    del self._staying[end]
                    end()

    async def _may_ask(self, caller: Caller) -> bool:
        return await self._requests.may_ask(caller) if self._requests else caller.may_ask()

    def _refuse(
        self,
        reason: str,
        status: int,
        code: int,
        text: str,
        headers: Mapping[str, str] | None = None,
        client: str = "",
    ) -> web.Response:
        """Return an error in Binance's form."""
        self._counts.add("refused_total", client, reason)
        return web.json_response({"code": code, "msg": text}, status=status, headers=headers)


def exchange_named(request: web.Request, known: Mapping[str, ServedExchange]) -> str:
    """Return the name of the exchange that a request is about, "" where there is none of it."""
    name = request.match_info.get("exchange") or request.query.get("exchange", "")
    return name if name in known else ""
