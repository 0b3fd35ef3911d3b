"""HTTP to one host: pooled connections that a route opens, what is read of them counted."""

import io
import threading
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util import Retry, Timeout

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
NO_RETRIES = Retry(False)  # what is to be tried again, and when, is not urllib3's to say
JSON = {"Content-Type": "application/json"}
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


class _Prepared(NamedTuple):
    """What all requests have in common: the pool they go to, what is before the path, headers."""

    pool: HTTPConnectionPool
    prefix: str
    headers: dict[str, str]


class SingleHostSession:
    """Calls of one host; no answer leads elsewhere or leaves anything behind.

    `requests` prepares one request, without a path: it makes the pool, the host's name and the
    headers of it. All others differ from that one by their path, query and proof alone, so they go
    to the pool of urllib3 directly: preparing each of them anew took a third of what a call costs.
    Nothing of what `requests` does on its own, such as cookies and redirects, is done that way.
    """

    def __init__(self, base_url: str, adapter: RouteAdapter, timeout: Timeout | float):
        self._base_url = base_url
        self._adapter = adapter
        self._timeout = timeout
        self._prepared: _Prepared | None = None

    def call(
        self,
        path: str,
        params: Mapping[str, str | int | list[str]] | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> BaseHTTPResponse:
        """Return the head of an answer, whose body is still to be read. Raises one of FAILURES.

        A GET; with a `body`, which is JSON, a POST.
        """
        prepared = self._prepared or self._prepare()
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        kind = {} if body is None else JSON
        return prepared.pool.urlopen(
            "GET" if body is None else "POST",
            f"{prepared.prefix}{path}{query}",
            body=body,
            headers={**prepared.headers, **kind, **headers},
            timeout=self._timeout,
            retries=NO_RETRIES,
            redirect=False,  # it could be a host that nobody allowed, and its body is read for that
            assert_same_host=False,  # a path names no host
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close the connections that nobody uses now; another call opens new ones."""
        self._prepared = None
        self._adapter.close()

    def _prepare(self) -> _Prepared:
        with requests.Session() as session:
            # No proxy, netrc or certificates from the environment: what the row says, no more.
            session.trust_env = False
            session.headers.update({"User-Agent": "livermore", "Accept-Encoding": ENCODING})
            request = session.prepare_request(requests.Request("GET", self._base_url))
        pool = self._adapter.get_connection_with_tls_context(request, verify=True)
        prefix = request.path_url.rstrip("/")
        headers = {name: str(value) for name, value in request.headers.items()}
        self._prepared = _Prepared(pool, prefix, headers)
        return self._prepared


def reason_of(error: Exception) -> str:
    """Return in our words, or those of a library, why a call failed; never what was answered."""
    is_late = isinstance(error, ConnectTimeoutError | ReadTimeoutError)
    if is_late and not isinstance(error, NewConnectionError):  # which urllib3 counts among them
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
