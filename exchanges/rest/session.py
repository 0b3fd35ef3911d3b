"""HTTP to one host: pooled connections that a route opens, what is read of them counted."""

import io
import threading
from http.client import HTTPException, HTTPResponse, IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)

from exchanges.errors import (
    clip,
)
from exchanges.rest.response_limits import (
    ENCODING,
    PIECE_BYTES,
    Metered,
    granted,
)
from exchanges.transport.dialing import Route

FAILURES = (OSError, HTTPError, HTTPException, ValueError)
LIBRARYS_LIMIT = "got more than"  # how http.client says that a line, or their number, has no end


class _MeteredResponse(HTTPResponse):
    def __init__(self, sock, *arguments, **options):
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(Metered(sock, self.fp.detach()), PIECE_BYTES)


call = threading.local()  # of this thread; `has_left`: something of it was sent


# What it is mixed into; urllib3 decides which of its two connections that is.
if TYPE_CHECKING:
    _Connection = HTTPConnection
else:
    _Connection = object


class _Dialled(_Connection):
    """A connection of urllib3 whose socket, encryption included, a route opens."""

    response_class = _MeteredResponse
    route: Route
    encrypted: bool
    sock: Any

    def connect(self):
        seconds = granted().seconds_left(cast(float, self.timeout))  # one was given to the pool
        try:
            self.sock = self.route.open(self.host, self.port, seconds, encrypted=self.encrypted)
        except OSError as error:
            granted().seconds_left()  # is it the whole call that took too long?
            if isinstance(error, TimeoutError):
                raise ConnectTimeoutError(self, str(error)) from error
            raise NewConnectionError(self, str(error)) from error
        self.is_verified = self.encrypted

    def send(self, data):
        if self.sock is None:
            self.connect()
        call.has_left = True
        super().send(data)


class RouteAdapter(HTTPAdapter):
    """Connects by a route, and in no other way."""

    def __init__(self, route: Route, **options):
        self._route = route
        super().__init__(**options)

    def init_poolmanager(self, *sizes, **options):
        super().init_poolmanager(*sizes, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": self._pool(HTTPConnectionPool, HTTPConnection, encrypted=False),
            "https": self._pool(HTTPSConnectionPool, HTTPSConnection, encrypted=True),
        }

    def _pool(self, pool: type, connection: type, *, encrypted: bool) -> type:
        ways = {"route": self._route, "encrypted": encrypted}
        dialled = type("Connection", (_Dialled, connection), ways)
        return type("Pool", (pool,), {"ConnectionCls": dialled})


class SingleHostSession(requests.Session):
    """What requests keep in common; no answer leads elsewhere or leaves anything behind."""

    def __init__(self, adapter: RouteAdapter):
        super().__init__()
        # No proxy, netrc or certificate bundle from the environment: what the row says, no more.
        self.trust_env = False
        self.headers.update({"User-Agent": "livermore", "Accept-Encoding": ENCODING})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None  # it could be a host that nobody allowed, and its body is read for that


def reason_of(error: Exception) -> str:
    """Return in our words, or those of a library, why a call failed; never what was answered."""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return "no answer in time"
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if isinstance(cause, UnicodeError):
        return "a character of its name is not allowed in one"
    text = str(cause)
    # What a library says of an answer that is no HTTP holds a piece of it.
    ours = isinstance(cause, OSError | IncompleteRead) or text.startswith(LIBRARYS_LIMIT)
    return clip(text if ours and text else f"what it says is no HTTP ({type(cause).__name__})")
