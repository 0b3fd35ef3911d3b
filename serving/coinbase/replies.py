"""Answers as JSON, and those that are the exchange's own."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from serving.fetching.passing import Passed


def as_json(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=orjson.dumps(content), status=status, content_type="application/json", headers=headers
    )


def own(passed: Passed) -> web.Response:
    """Return what the exchange answered, and how old that is."""
    return as_json(passed.content, passed.status, passed.headers)
