"""HTTP of one connection: in time, read by who asks, and one line for what is no request."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from serving.transport.connections import Connections

# Longer than proxies keep a connection that nobody uses: they close it first. Within it a
# request's head has to come as a whole, however many pieces it is sent in.
IDLE_SECONDS = 75.0
UNREAD_SECONDS = 60.0  # in which a client takes nothing of what was sent to it
LONGEST_LINE, LONGEST_HEADER = 65_536, 8190  # bytes; a line may name 1,024 streams
BACKLOG = 1024
NAME = "livermore"  # of this server: the versions of what it is made of are nobody's business
BUSY_TEXT = "Too many connections are open: try again"
BUSY = (
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
    f"Server: {NAME}\r\nContent-Length: {len(BUSY_TEXT)}\r\nConnection: close\r\n\r\n{BUSY_TEXT}"
).encode()


class Connection(web.RequestHandler):
    """A connection that is closed where it holds up others. `note_refused` counts what is none."""

    __slots__ = ("_connections", "_note_refused")

    def __init__(
        self, server: web.Server, connections: Connections, note_refused: Callable[[], object]
    ):
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # addresses may hold tokens
            keepalive_timeout=IDLE_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
        )
        self._connections = connections
        self._note_refused = note_refused

    @property
    def is_idle(self) -> bool:
        """Tell whether it waits for a request or the rest of one, or for its answer to be read."""
        return self._current_request is None

    @property
    def requests(self) -> int:
        """Return how many requests it has brought."""
        return self._request_count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        _let_unread_end(transport.get_extra_info("socket"))
        if not self._connections.enter(self):
            assert self.transport is not None
            self.transport.write(BUSY)
            self.force_close()

    def connection_lost(self, error: BaseException | None) -> None:
        self._connections.leave(self)
        super().connection_lost(error)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request with a line that repeats nothing of it; the log has none.

        What was sent may hold a token, and is whatever anybody on the network sends. Raises
        ConnectionError where the client has gone.
        """
        if isinstance(exc, ConnectionError):
            raise exc
        if status >= 500:
            answer = super().handle_error(request, status, exc, message)
            answer.headers["Server"] = NAME
            return answer
        self._note_refused()
        status, text = _described(exc)
        answer = web.Response(status=status, text=text, headers={"Server": NAME})
        answer.force_close()
        return answer


async def tell_name(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Say whose answer it is, in place of what a library says of itself."""
    response.headers["Server"] = NAME


def _described(error: BaseException | None) -> tuple[int, str]:
    """Return status and text for what could not be read."""
    if type(error).__name__ != "LineTooLong":
        return 400, "This is no HTTP request that can be read"
    line = error.args[0] if error else b""
    if line[:1] in (b"/", "/"):
        return 414, f"An address has at most {LONGEST_LINE} bytes here: ask in several requests"
    return 431, f"A header has at most {LONGEST_HEADER} bytes here"


def _let_unread_end(connection: socket.socket | None) -> None:
    """Have the system end a connection whose client reads nothing: whoever writes would wait."""
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        with suppress(OSError):
            option = socket.TCP_USER_TIMEOUT
            connection.setsockopt(socket.IPPROTO_TCP, option, int(1000 * UNREAD_SECONDS))


class Site(web.BaseSite):
    """Where an application is listened for."""

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        make: Callable[[], Connection],
        *,
        beside_others: bool,
    ):
        super().__init__(runner, backlog=BACKLOG)
        self._host, self._port = host, port
        self._make = make
        self._beside_others = beside_others

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the address is taken."""
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._make,
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_port=self._beside_others or None,
        )
