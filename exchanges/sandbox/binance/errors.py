"""What Binance says when it doesn't answer (errors.md)."""

from collections.abc import Callable

from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json, as_page
from exchanges.venues.binance.server.errors import ApiError

_RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you "
    "received this message in error."
)


def worded(answer: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """Return the answer that says of a bad request what Binance says of it."""

    def answered(call: Call) -> Reply:
        try:
            return answer(call)
        except ApiError as error:
            raise Refusal(as_json(error.content, 400)) from error

    return answered


def failure(status: int, retry_after: int | None, now_ms: int, weight_limit: int = 6000) -> Reply:
    """Word an HTTP status as Binance does; 403 and 503 come from in front of it, as pages."""
    if status == 403:
        return as_page("403 Forbidden", 403)
    if status in (502, 503, 504):
        return as_page(f"{status} Service Temporarily Unavailable", status)
    until_ms = now_ms + (retry_after or 0) * 1000
    messages = {
        418: (
            -1003,
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        ),
        429: (
            -1003,
            f"Too much request weight used; current limit is {weight_limit} request weight per "
            "1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
        ),
        451: (0, _RESTRICTED),
    }
    code, message = messages.get(
        status, (-1000, "An unknown error occurred while processing the request.")
    )
    reply = as_json({"code": code, "msg": message}, status)
    if retry_after is not None:
        reply.headers["Retry-After"] = str(retry_after)
    return reply
