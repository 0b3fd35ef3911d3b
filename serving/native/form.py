"""What others refuse below /v1/ is told as we tell it: who is let in, paths that are none."""

import re
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from serving.native.errors import JSON, as_json
from serving.native.operations import OPERATIONS

PATH = re.compile(r"(?:/k/[^/]*)?/v1/.*", re.S)
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def in_native_form(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell what is wrong with a request to us as `{"error": …}`, whoever finds it."""
    if not PATH.fullmatch(request.path) or "exchange" in request.match_info:
        return await handler(request)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error
    if response.status < 400 or not isinstance(response, web.Response):
        return response
    line = _line(request, response)
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return as_json({"error": line}, response.status, headers) if line else response


def _line(request: web.Request, response: web.Response) -> str:
    """Return what is wrong, "" where the response says it in our form."""
    if response.content_type == JSON:
        said = orjson.loads(response.body if isinstance(response.body, bytes) else b"{}")
        return said.get("msg", "")
    if response.status == 405:
        return f"{request.method[:20]} is not answered here: GET is"
    known = ", ".join(OPERATIONS)
    return f"There is no such path; known below /v1/: {known}"
