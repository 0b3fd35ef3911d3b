"""What Coinbase says of a request that it refuses, and what is said where there is no answer."""

from aiohttp import web

from serving.candles.unavailable import Unavailable
from serving.coinbase.replies import as_json

BUSY = -1001  # whichever protocol is spoken


class Refused(Exception):
    """A request that Coinbase would refuse: HTTP status, its word for it, and why."""

    def __init__(self, status: int, error: str, why: str):
        super().__init__(why)
        self.status, self.error = status, error


def invalid(why: str) -> Refused:
    return Refused(400, "INVALID_ARGUMENT", why)


def not_found(why: str) -> Refused:
    return Refused(404, "NOT_FOUND", why)


def busy(error: Unavailable) -> web.Response:
    """Return the answer where nothing true can be told now.

    It names no `error`: programs take what does for a mistake of theirs, and don't ask again.
    """
    why, headers = str(error), {"Retry-After": str(error.retry_seconds)}
    return as_json({"code": BUSY, "msg": why, "message": why}, 503, headers)
