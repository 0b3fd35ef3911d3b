"""A line in the log for each request and each socket: who, what, how it ended, how long it took.

It goes through the same formats and the same redaction as every other line. What stands behind the
? of an address is left out: people type things there, and programs put tokens there.
"""

import logging
import time

from livermore.observing.logs import word
from livermore.web.client_address import address_of

logger = logging.getLogger(__name__)

UNANSWERED = 0  # the status of a request whose client went, or that was given up


class AccessLog:
    """Tells of what goes through an ASGI application, when it has ended."""

    def __init__(self, application):
        self._application = application

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _request(self, scope, receive, send):
        began, status, size = time.monotonic(), UNANSWERED, 0

        async def count(message):
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._application(scope, receive, count)
        finally:
            logger.info(
                "http.request address=%s method=%s path=%s status=%d bytes=%d seconds=%.3f",
                _address(scope), word(scope["method"]), _path(scope), status, size,
                time.monotonic() - began,
            )  # fmt: skip

    async def _socket(self, scope, receive, send):
        began, is_open, code = time.monotonic(), False, None

        async def receive_counted():
            nonlocal code
            message = await receive()
            code = message.get("code", code)
            return message

        async def say(message):
            nonlocal is_open, code
            if message["type"] == "websocket.accept":
                is_open = True
                logger.info("socket.opened address=%s path=%s", _address(scope), _path(scope))
            code = message.get("code", code)
            await send(message)

        try:
            await self._application(scope, receive_counted, say)
        finally:
            logger.info(
                "socket.%s address=%s path=%s code=%s seconds=%.3f",
                "closed" if is_open else "refused", _address(scope), _path(scope),
                code or "none", time.monotonic() - began,
            )  # fmt: skip


def silence_daphne() -> None:
    """Take away daphne's own lines, which know no format of ours and no secrets."""
    from daphne.access import AccessLogGenerator

    AccessLogGenerator.__call__ = lambda self, protocol, action, details: None


def _address(scope) -> str:
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    peer = (scope.get("client") or [""])[0]
    return address_of(peer or "", b",".join(forwarded).decode("latin-1"))


def _path(scope) -> str:
    return word(scope["path"]) + ("?…" if scope.get("query_string") else "")
