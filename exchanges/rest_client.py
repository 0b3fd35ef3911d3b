"""HTTP to one exchange: pooled connections, timeouts, pacing, retries, and errors by name."""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from exchanges.dialing import DIRECTLY, Route
from exchanges.errors import (
    BadPayload,
    Banned,
    Blocked,
    LivermoreError,
    RateLimited,
    Temporary,
    Unreachable,
    clip,
)
from exchanges.pacing import Lane, Pacer

logger = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 5, 20
ATTEMPTS = 4
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 8.0
PAUSE_SECONDS = 1.0  # for a 429 that names no time
BAN_SECONDS = 120  # the shortest that Binance gives, for a ban that doesn't say how long it is

# Makes an error of a reply with a status of 400 or more that only the venue understands: the
# status and the parsed body, None where it isn't JSON. None leaves it to the general rules.
ErrorReader = Callable[[int, Any], LivermoreError | None]
HeaderReader = Callable[[Mapping[str, str]], None]
Signer = Callable[[str], Mapping[str, str]]


def backoff() -> Iterator[float]:
    """Yield seconds to wait before each further try: full jitter under a doubling ceiling."""
    ceiling = FIRST_DELAY_SECONDS
    while True:
        yield random.uniform(0, ceiling)
        ceiling = min(2 * ceiling, LONGEST_DELAY_SECONDS)


class _Dialled:
    """A connection of urllib3 whose socket, encryption included, a route opens."""

    route: Route
    encrypted: bool

    def connect(self):
        try:
            self.sock = self.route.open(
                self.host, self.port, self.timeout, encrypted=self.encrypted
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        self.is_verified = self.encrypted


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


class RestClient:
    """Calls one exchange's REST interface. Up to `workers` threads may share it.

    `read_error` and `read_headers` are the venue's own knowledge of replies; `sign` returns the
    headers that prove who calls, given host and path of the request. `route` is how it connects.
    """

    def __init__(
        self,
        base_url: str,
        pacer: Pacer,
        *,
        workers: int,
        read_error: ErrorReader = lambda status, body: None,
        read_headers: HeaderReader = lambda headers: None,
        sign: Signer = lambda host_and_path: {},
        route: Route = DIRECTLY,
    ):
        self.pacer = pacer
        self.workers = workers
        self.host = urlsplit(base_url).netloc
        self._base_url = base_url.rstrip("/")
        self._read_error = read_error
        self._read_headers = read_headers
        self._sign = sign
        self._session = requests.Session()
        # No proxy, netrc or certificate bundle from the environment: what the row says, no more.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = "livermore"
        adapter = RouteAdapter(route, pool_maxsize=workers, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._calls = 0
        self._counting = threading.Lock()

    @property
    def calls(self) -> int:
        """Return how many requests went out, retries among them."""
        return self._calls

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        weight: int = 1,
        lane: Lane = Lane.BACKFILL,
        on_send: Callable[[], None] = lambda: None,
    ) -> Any:
        """Return the parsed JSON of a GET, tried again while the failure is a passing one.

        `on_send` is called before each try.

        Raises an error of the tree in `exchanges.errors`, always with the host in its text.
        """
        delays = backoff()
        for attempt in range(1, ATTEMPTS + 1):
            self.pacer.wait_turn(weight, lane)
            on_send()
            try:
                return self._get_once(self._base_url + path, params)
            except Banned:
                raise
            except Temporary as error:
                if attempt == ATTEMPTS:
                    raise
                logger.debug("rest.retry host=%s attempt=%d error=%s", self.host, attempt, error)
                self.pacer.sleep(next(delays))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections and wake whoever waits for a turn."""
        self.pacer.close()
        self._session.close()

    def _get_once(self, url: str, params: Mapping[str, str | int] | None) -> Any:
        with self._counting:
            self._calls += 1
        proof = self._sign(url.partition("://")[2])
        try:
            reply = self._session.get(
                url,
                params=params,
                headers=proof,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,  # a redirect could lead to a host that nobody allowed
            )
        except requests.RequestException as error:
            raise Unreachable(
                f"{self.host} cannot be reached: {_reason(error)}. "
                "Check the network and the exchange's REST address, then run this again"
            ) from error
        self._read_headers(reply.headers)
        if reply.status_code != 200:
            raise self._error(reply, _without(proof, reply.content))
        try:
            return orjson.loads(reply.content)
        except orjson.JSONDecodeError as error:
            text = clip(_without(proof, reply.content)) or "nothing"
            raise Unreachable(
                f"{self.host} answered with something else than JSON: {text}"
            ) from error

    def _error(self, reply: requests.Response, content: bytes) -> LivermoreError:
        status = reply.status_code
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            body = None
        retry_after = _retry_after(reply.headers)
        if status == 418:
            return self.pacer.ban(retry_after or _ban_seconds(body) or BAN_SECONDS)
        if status == 429:
            # Everybody who calls this host waits, not this thread alone.
            self.pacer.hold(max(retry_after or 0, PAUSE_SECONDS))
            return RateLimited(f"{self.host} says too many requests (HTTP 429)", retry_after)
        if error := self._read_error(status, body):
            return error
        said = clip(content) or "nothing"
        if status in (403, 451):
            return Blocked(
                f"{self.host} refuses this address or region (HTTP {status}): {said}. "
                "Run from a place that the exchange serves, or choose another exchange"
            )
        if status >= 500:
            return Unreachable(f"{self.host} has a fault of its own (HTTP {status}): {said}")
        return BadPayload(f"{self.host} refused the request (HTTP {status})", said)


def _without(proof: Mapping[str, str], content: bytes) -> bytes:
    """Take out of an answer by what we proved who we are: some answer with what they were sent."""
    for text in filter(None, proof.values()):
        content = content.replace(text.rpartition(" ")[2].encode(), b"***")
    return content


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__
    return clip(str(cause) or type(cause).__name__)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, written as such or as a date."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _ban_seconds(body: Any) -> float:
    """Return how long a ban lasts by a message such as "IP banned until 1700000000000", else 0."""
    message = str(body.get("msg", "")) if isinstance(body, dict) else ""
    stamps = re.findall(r"\b[0-9]{13}\b", message)
    return max([0.0, *(int(stamp) / 1000 - time.time() for stamp in stamps)])
