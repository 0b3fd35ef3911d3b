"""How a request is refused: in the form of the protocol whose address it was sent to."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from serving.counting.routes import route_of

logger = logging.getLogger(__name__)

# Binance's codes (errors.md); NONE is ours.
UNKNOWN, DISCONNECTED, UNAUTHORIZED, TOO_MANY, NO_KEY = -1000, -1001, -1002, -1003, -2015
NONE = -1
OURS = re.compile(r"(?:/k/[^/]*)?/v1(?:/.*)?|/health/|/metrics", re.S)
COINBASES = re.compile(r"(?:/k/[^/]*)?/[^/]+/(?:api/v3/brokerage|v2)(?:/.*)?", re.S)
TRACK = re.compile(r"(?:/k/[^/]*)?/[^/]+/v2(?:/.*)?", re.S)
COINBASES_WORDS = {
    400: "INVALID_ARGUMENT", 401: "unauthorized", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    405: "UNIMPLEMENTED", 429: "rate_limit_exceeded",
}  # fmt: skip
TRACKS_WORDS = {
    401: "unauthorized", 403: "unauthorized", 404: "not_found", 429: "rate_limit_exceeded",
}  # fmt: skip
TEXTS = {
    400: "A WebSocket is opened here, by a request that asks for one",
    404: "There is nothing at this address",
    405: "Public market data is served here, and there is no other method than GET",
}
NOT_LET_IN = 401
CHALLENGE = 'Bearer realm="candles"'  # of Basic, which is taken too, browsers ask people
KEPT = ("Allow", "WWW-Authenticate")  # of the headers that belong to a status
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """A request that is refused: HTTP status, Binance's code for why, and a line for a person."""

    def __init__(self, status: int, code: int, text: str, headers: Mapping[str, str] | None = None):
        super().__init__(text)
        self.status, self.code, self.headers = status, code, headers


class BrokenOff(ConnectionResetError):
    """An answer of which a part was sent when a fault of ours ended it."""


def refusal(
    request: web.BaseRequest,
    status: int,
    code: int,
    text: str,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return the answer that refuses a request; `code` is Binance's word for why."""
    content: dict[str, Any] = {"code": code, "msg": text}
    if OURS.fullmatch(request.path):
        content = {"error": text}
    elif COINBASES.fullmatch(request.path):
        content = coinbases(content, status, is_track=bool(TRACK.fullmatch(request.path)))
    body = orjson.dumps(content)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


async def challenge(request: web.Request, response: web.StreamResponse) -> None:
    """Say with each 401 how one may prove who one is (RFC 9110, 11.6.1)."""
    if response.status == NOT_LET_IN:
        response.headers.setdefault("WWW-Authenticate", CHALLENGE)


def coinbases(said: Mapping[str, Any], status: int, *, is_track: bool) -> dict[str, Any]:
    """Return in Coinbase's form what is said in Binance's; its Track API has one of its own.

    Where nothing true can be told now there is no `error`: programs take what has one for a mistake
    of theirs, and don't ask again.
    """
    text = said["msg"]
    if status >= 500:
        return {**said, "message": text}
    if is_track:
        return {"errors": [{"id": TRACKS_WORDS.get(status, "invalid_request"), "message": text}]}
    return {"error": COINBASES_WORDS.get(status, "UNKNOWN"), "message": text}


@web.middleware
async def refuse_in_form(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what nobody else does: what is refused, no such address, or a fault of ours."""
    try:
        return await handler(request)
    except Refused as error:
        return refusal(request, error.status, error.code, str(error), error.headers)
    except web.HTTPException as error:
        if error.content_type == "application/json" or error.status < 400:
            raise
        headers = {name: error.headers[name] for name in KEPT if name in error.headers}
        text = TEXTS.get(error.status, error.reason)
        return refusal(request, error.status, NONE, text, headers)
    except ConnectionError:  # the client has gone
        raise
    except Exception as error:
        logger.exception("serving.fault route=%s", route_of(request))
        if request.writer.output_size:  # a part of an answer was sent
            raise BrokenOff("broken off") from error
        return refusal(request, 500, UNKNOWN, "A fault of this server, which its log describes")
