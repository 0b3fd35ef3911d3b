"""Calls to one exchange: timeouts, pacing, retries, and errors by name."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
from redis.exceptions import RedisError
from urllib3 import BaseHTTPResponse
from urllib3.util import Timeout

from exchanges.errors import (
    BadCredentials,
    BadPayload,
    Banned,
    Blocked,
    Excessive,
    LivermoreError,
    Permanent,
    RateLimited,
    Temporary,
    TurnedAway,
    Unauthorized,
    Unreachable,
    clip,
)
from exchanges.rest.pacing.budget import Lane
from exchanges.rest.pacing.pacer import Pacer
from exchanges.rest.refusals import ban_seconds, names_country, retry_after_seconds
from exchanges.rest.response_limits import (
    SHORT_BYTES,
    ResponseBudget,
    ResponseLimits,
    parse,
)
from exchanges.rest.session import (
    FAILURES,
    LIBRARYS_LIMIT,
    RouteAdapter,
    SingleHostSession,
    call,
    reason_of,
)
from exchanges.transport.backoff import retry_delays
from exchanges.transport.dialing import DIRECTLY, Route

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10  # name, proxy and encryption included
READ_SECONDS = 20  # for anything at all to come
ATTEMPTS = 4
TOKENS = 2  # a good one is refused now and then: with so many a call is tried
PAUSE_SECONDS = 1.0  # for a 429 that names no time; the first one for a firewall's page
OWN_WORDS = ("code", "msg", "error", "message")  # of what an exchange says of a refusal
KINDS = {
    *("text/html", "text/plain", "text/xml", "application/xml", "application/json"),
    "application/octet-stream",
}
PHRASES = {each.value: each.phrase for each in HTTPStatus}
BAN_SECONDS = 120  # the shortest that is known, for a ban that doesn't say how long it is

# Makes an error of a reply with a status of 400 or more that only the venue understands, or of any
# with 200 where it has `errors_in_200`: the status and the parsed body, None where it isn't JSON,
# which with 200 is an empty one. None leaves it to the general rules.
ErrorReader = Callable[[int, Any], LivermoreError | None]
Params = Mapping[str, str | int | list[str]] | None
Request = tuple[str, Params, bytes | None, bool, bool]  # the last ones: a body, signed, long
Signer = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Replies:
    """What a venue knows of its exchange's replies."""

    read_error: ErrorReader = lambda status, body: None
    read_headers: Callable[[Mapping[str, str]], object] = lambda headers: None
    # Of a parsed body: the exchange itself wrote it.
    is_own_error: Callable[[Any], bool] = lambda body: isinstance(body, dict)
    elsewhere: str = ""  # tells who is blocked where else candles are
    errors_in_200: bool = False  # an answer with HTTP 200 may be an error too
    # Of a refusal's status and beginning, whoever wrote it: for how many seconds it is a ban.
    read_ban: Callable[[int, bytes], float | None] = lambda status, content: None


class _ListingBudget(NamedTuple):
    """What the further pages of a listing may bring and take."""

    octets: int
    seconds: float


_listing = threading.local()  # of this thread; `left`: what its listing may still bring, or None


class RestClient:
    """Calls one exchange's REST interface. Up to `workers` threads may share it.

    `replies` is the venue's own knowledge of them; `sign` returns the headers that prove who calls,
    given host and path of the request. `route` is how it connects, `limits` what one answer may
    bring and take.
    """

    def __init__(
        self,
        base_url: str,
        pacer: Pacer,
        *,
        workers: int,
        replies: Replies | None = None,
        sign: Signer | None = None,
        route: Route = DIRECTLY,
        limits: ResponseLimits | None = None,
    ):
        self.pacer = pacer
        self.workers = workers
        self.host = urlsplit(base_url).netloc
        self._place = base_url.rstrip("/").partition("://")[2]
        self._replies = replies or Replies()
        self._sign = sign
        self._limits = limits or ResponseLimits()
        self._session = SingleHostSession(
            base_url,
            RouteAdapter(route, pool_maxsize=workers),
            Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        self.on_failure: Callable[[LivermoreError], object] = lambda error: None  # of each try
        self.on_answer: Callable[[], object] = lambda: None
        self._answered: dict[str, Request] = {}  # the last of each kind
        self._calls = 0
        self._counting = threading.Lock()

    @property
    def calls(self) -> int:
        """Return how many requests went out, retries among them."""
        return self._calls

    def get(
        self,
        path: str,
        params: Params = None,
        *,
        weight: int = 1,
        lane: Lane | None = Lane.BACKFILL,
        signed: bool = True,
        long: bool = False,
        on_send: Callable[[], None] = lambda: None,
    ) -> Any:
        """Return the parsed JSON of a GET, tried again while the failure is a passing one.

        It is signed where there is something to sign with, unless told otherwise; if that is
        refused (HTTP 401), once more. `long` is a listing's answer: others that are so long are
        refused. `on_send` is called before each try.

        A firewall's page is waited out for minutes, by everybody who calls the host; where it comes
        for this request alone, that is given up as other failures are.

        Raises an error of the tree in `exchanges.errors`, always with the host in its text.
        """
        signed = signed and self._sign is not None
        return self._ask((path, params, None, signed, long), weight, lane, on_send)

    def post(
        self,
        path: str,
        body: Any,
        *,
        weight: int = 1,
        lane: Lane | None = Lane.BACKFILL,
        long: bool = False,
        on_send: Callable[[], None] = lambda: None,
    ) -> Any:
        """Do the same by a POST of `body` as JSON, which only asks and is never signed."""
        return self._ask((path, None, orjson.dumps(body), False, long), weight, lane, on_send)

    def _ask(
        self, request: Request, weight: int, lane: Lane | None, on_send: Callable[[], None]
    ) -> Any:
        path, signed = request[0], request[3]
        delays, failures, pages, refusals = retry_delays(), 0, 0, 0
        while True:
            if pages >= ATTEMPTS:
                self._ask_another(path, weight, lane)
            counted = self.pacer.wait_turn(weight, lane), weight
            on_send()
            try:
                answer = self._try(*request, counted)
                self._answered[_kind(path)] = request
                return answer
            except (Banned, Excessive):
                raise
            except TurnedAway as error:
                pages += 1
                if error.lasts:
                    raise
                if pages >= ATTEMPTS and error.begins:  # others were answered since the last one
                    raise Unreachable(
                        f"{self.host} has turned this request alone away with a web page (HTTP 403)"
                    ) from error
            except Unauthorized:
                refusals += 1
                if refusals == (TOKENS if signed else ATTEMPTS):
                    raise
                self.pacer.sleep(next(delays))
            except Temporary as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise
                logger.debug("rest.retry host=%s attempt=%d error=%s", self.host, failures, error)
                self.pacer.sleep(next(delays))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all long answers of this thread bring and take what else a single one may."""
        _listing.left = _ListingBudget(self._limits.megabytes * 1_000_000, self._limits.seconds)
        try:
            yield
        finally:
            _listing.left = None

    def close(self) -> None:
        """Close the connections and wake whoever waits for a turn."""
        self.pacer.close()
        self._session.close()

    def _ask_another(self, path: str, weight: int, lane: Lane | None) -> None:
        """Ask again for something of the same kind that was answered before, if there is any.

        Where that is answered once more, a firewall turns one request away and not all.
        """
        if another := self._answered.get(_kind(path)):
            counted = self.pacer.wait_turn(weight, lane), weight
            with suppress(Temporary, Permanent):
                self._get_once(*another, counted)

    def _try(self, *request: Any) -> Any:
        """Do it once; tell who listens what came of it."""
        try:
            answer = self._get_once(*request)
        except LivermoreError as error:
            self.on_failure(error)
            raise
        self.on_answer()
        return answer

    def _get_once(
        self,
        path: str,
        params: Params,
        body: bytes | None,
        signed: bool,
        long: bool,
        counted: tuple[int, int],
    ) -> Any:
        with self._counting:
            self._calls += 1
        call.has_left = False
        try:
            proof = self._sign(self._place + path) if signed and self._sign else {}
            reply, content = self._exchange(path, params, body, proof, long)
        except BaseException:
            if not call.has_left:  # the exchange counts nothing either
                with suppress(RedisError):
                    self.pacer.take_back(*counted)
            raise
        content = _without(proof, content)
        self._replies.read_headers(reply.headers)
        error = None if reply.status == 200 else self._error(reply, content)
        if not isinstance(error, TurnedAway):
            self.pacer.answered()
        if error:
            raise error
        try:
            answer = parse(content)
        except ValueError:
            is_error = not content and self._replies.errors_in_200
            if is_error and (error := self._read_error(reply.status, None)):
                raise error from None
            what = self._described(reply, content)
            raise Unreachable(
                f"{self.host} answered with something else than JSON: {what}"
            ) from None
        if self._replies.errors_in_200:
            if (ban := self._replies.read_ban(reply.status, content)) is not None:
                raise self.pacer.ban(ban)
            if error := self._read_error(reply.status, answer):
                raise error
        return answer

    def _exchange(
        self,
        path: str,
        params: Params,
        body: bytes | None,
        proof: Mapping[str, str],
        long: bool,
    ) -> tuple[BaseHTTPResponse, bytes]:
        """Return what is answered, with its body: of a refusal the beginning alone."""
        limits, left = self._limits, getattr(_listing, "left", None) if long else None
        most_bytes = limits.megabytes * 1_000_000 if long else SHORT_BYTES
        began = time.monotonic()
        allowed = ResponseBudget(self._place + path, most_bytes, limits.seconds, READ_SECONDS)
        if left:
            allowed.share(*left)
        try:
            with allowed.granted():
                reply = self._session.call(path, params, body, proof)
                content = _body(reply, allowed)
                if left:
                    seconds = left.seconds - (time.monotonic() - began)
                    _listing.left = _ListingBudget(left.octets - len(content), seconds)
                return reply, content
        except FAILURES as error:
            if (reason := reason_of(error)).startswith(LIBRARYS_LIMIT):
                raise allowed.refusal(f"is no HTTP: {reason}") from error
            fault = f"{self.host} cannot be reached: {reason}"
            raise Unreachable(
                f"{fault}. Check the network and the exchange's REST address, then run this again",
                fault,
            ) from error

    def _error(self, reply: BaseHTTPResponse, content: bytes) -> LivermoreError:
        status = reply.status
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            body = None
        retry_after = retry_after_seconds(reply.headers)
        if status == 418:
            seconds = retry_after or ban_seconds(body, reply.headers) or BAN_SECONDS
            return self.pacer.ban(seconds)
        if (ban := self._replies.read_ban(status, content)) is not None:
            return self.pacer.ban(max(ban, retry_after or 0))
        if status == 429:
            # Everybody who calls this host waits, not this thread alone.
            self.pacer.hold(max(retry_after or 0, PAUSE_SECONDS))
            return RateLimited(f"{self.host} says too many requests (HTTP 429)", retry_after)
        if error := self._read_error(status, body):
            return error
        said = self._said(reply, content, body)
        is_page = status == 403 and not self._replies.is_own_error(body)
        if is_page and not names_country(content):
            return self.pacer.turn_away(max(retry_after or 0, PAUSE_SECONDS))
        if status in (403, 451):
            return Blocked(
                f"{self.host} refuses this address or region (HTTP {status}): {said}. Run from a "
                "place that the exchange serves, or choose another exchange"
                + (f". {self._replies.elsewhere}" if self._replies.elsewhere else "")
            )
        if status >= 500:
            return Unreachable(f"{self.host} has a fault of its own (HTTP {status}): {said}")
        refused = BadPayload(f"{self.host} refused the request (HTTP {status}): {said}")
        refused.reply = (status, body) if self._replies.is_own_error(body) else None
        return refused

    def _read_error(self, status: int, body: Any) -> LivermoreError | None:
        """Return the error that the venue reads out of an answer, if any."""
        error = self._replies.read_error(status, body)
        if error is None:
            return None
        if isinstance(error, RateLimited):
            self.pacer.hold(max(error.retry_after_seconds or 0, PAUSE_SECONDS))
        if status == 401 and isinstance(error, BadCredentials):
            error = Unauthorized(str(error))
        elif self._replies.is_own_error(body):
            error.reply = status, body
        return error

    def _said(self, reply: BaseHTTPResponse, content: bytes, body: Any) -> str:
        """Return the exchange's own words, or what came in their place, without a word of it."""
        if not self._replies.is_own_error(body):
            return self._described(reply, content)
        words = {name: body[name] for name in OWN_WORDS if isinstance(body.get(name), str | int)}
        return clip(orjson.dumps(words, option=orjson.OPT_PASSTHROUGH_SUBCLASS)) if words else "{}"

    def _described(self, reply: BaseHTTPResponse, content: bytes) -> str:
        """Return how much came of what kind: whose words it is nobody knows, so none is told."""
        if not content:
            return "nothing"
        logger.debug(
            "rest.foreign_answer host=%s status=%d text=%s",
            *(self.host, reply.status, clip(content)),
        )
        told = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        kind = told if told in KINDS else "an unknown kind"
        phrase = PHRASES.get(reply.status, "")
        size = len(content)
        amount = f"{size / 1000:.0f} kB" if size >= 1000 else f"{size} bytes"
        return f"{phrase}, {amount} of {kind}, which is not what an exchange says".lstrip(", ")


def _body(reply: BaseHTTPResponse, allowed: ResponseBudget) -> bytes:
    """Return the body of an answer; where its status says what it is, as much as comes at once."""
    found = bytearray()
    if reply.status == 200:
        try:
            allowed.read(reply, found)
        except BaseException:
            found.clear()  # who keeps the error keeps this
            raise
    else:
        allowed.expect_refusal()
        with suppress(Excessive, *FAILURES):
            allowed.read(reply, found)
    return bytes(found)


def _kind(path: str) -> str:
    return path.rpartition("/")[2]


def _without(proof: Mapping[str, str], content: bytes) -> bytes:
    """Take out of an answer by what we proved who we are: some answer with what they were sent."""
    for text in filter(None, proof.values()):
        content = content.replace(text.rpartition(" ")[2].encode(), b"***")
    return content
