"""What Bybit says when it doesn't answer: mostly a `retCode` with HTTP 200."""

from exchanges.sandbox.server.calls import Refusal, Reply, as_json, as_page

OK = 200
BAD_PARAMETER, TOO_MANY = 10001, 10006
# What faults can ask for by the code, in place of an HTTP status.
CODES = {
    BAD_PARAMETER: "params error: symbol invalid",
    TOO_MANY: "Too many visits. Exceeded the API Rate Limit.",
    10009: "The IP address is located in a restricted region.",
    10016: "Server error",
    10029: "The requested symbol is invalid.",
    10429: "System level frequency protection",
}
_PAGES = (502, 503, 504)


def envelope(result: dict, now_ms: int, code: int = 0, message: str = "OK") -> dict:
    """Return what every answer of Bybit's is wrapped in."""
    told = {"retCode": code, "retMsg": message, "result": result}
    return told | {"retExtInfo": {}, "time": now_ms}


def refused(message: str, now_ms: int, code: int = BAD_PARAMETER) -> Refusal:
    return Refusal(as_json(envelope({}, now_ms, code, message)))


def banned() -> Reply:
    """Word the ban of an address that has called too often; whether as text nobody has told."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Reply(b"403, access too frequent", 403, headers)


def failure(status: int, retry_after: int | None, now_ms: int) -> Reply:
    """Word an HTTP status, or a code of Bybit's, as it does; pages come from in front of it."""
    if status in CODES:
        return as_json(envelope({}, now_ms, status, CODES[status]))
    if status == 403:
        return as_page("403 Forbidden", 403)
    if status in _PAGES:
        return as_page(f"{status} error", status)
    code = TOO_MANY if status == 429 else 10016
    if status == 451:
        code = 10009
    reply = as_json(envelope({}, now_ms, code, CODES[code]), status)
    if retry_after is not None:
        reply.headers["Retry-After"] = str(retry_after)
    return reply
