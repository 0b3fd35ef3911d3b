"""Of what is no path below /v1/, or no GET, it is said what there is."""

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from serving.native.operations import OPERATIONS
from serving.refusals import NONE, Refused

PATH = re.compile(r"(?:/k/[^/]*)?/v1/.*", re.S)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def say_what_there_is(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse such a request in words of ours; in which form is not decided here."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if PATH.fullmatch(request.path) and "exchange" not in request.match_info:
            if isinstance(error, web.HTTPMethodNotAllowed):
                text = f"{request.method[:20]} is not answered here: GET is"
                raise Refused(405, NONE, text, {"Allow": error.headers["Allow"]}) from None
            if isinstance(error, web.HTTPNotFound):
                known = ", ".join(OPERATIONS)
                text = f"There is no such path; known below /v1/: {known}"
                raise Refused(404, NONE, text) from None
        raise
