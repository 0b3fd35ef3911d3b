"""What is refused, and the one form in which that is told: `{"error": …}`."""

from typing import Any

import orjson
from aiohttp import web

from serving.candles.unavailable import NoHistory, Unavailable

JSON = "application/json"


class Refused(Exception):
    """A request that can't be answered as it is: an HTTP status, and a line that says why."""

    status = 400


class BadRequest(Refused):
    """What was asked can't be."""


class NotFound(Refused):
    """What was asked for does not exist."""

    status = 404


class NotAcceptable(Refused):
    """None of the forms in which it could be told is wanted."""

    status = 406


# What a request may raise that is answered by `refusal`.
REFUSALS = (Refused, Unavailable)


def refusal(error: Exception) -> web.Response:
    """Return the answer to a request that raised one of REFUSALS.

    Where candles are missing it says which, and when to ask again.
    """
    match error:
        case Refused():
            return as_json({"error": str(error)}, error.status)
        case NoHistory():
            return as_json({"error": str(error), "missing": error.missing}, NotFound.status)
        case Unavailable():
            headers = {"Retry-After": str(error.retry_seconds)}
            return as_json({"error": str(error), "missing": error.missing}, 503, headers)
    raise error


def as_json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(content), status=status, content_type=JSON, headers=headers
    )
