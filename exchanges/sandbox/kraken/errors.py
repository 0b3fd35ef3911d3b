"""What Kraken says when it doesn't answer: with HTTP 200, a list of codes, and mostly no result."""

from exchanges.sandbox.server.calls import JSON, Refusal, Reply, as_json, as_page

UNKNOWN_PAIR, BAD_ARGUMENTS = "EQuery:Unknown asset pair", "EGeneral:Invalid arguments"
TOO_FAST, LOCKOUT = "EAPI:Rate limit exceeded", "EGeneral:Temporary lockout"
_CODES = {
    418: LOCKOUT,
    429: TOO_FAST,
    500: "EGeneral:Internal error",
    503: "EService:Unavailable",
}
_OF_OTHERS = (403, 451, 502, 504)  # what stands in front of the exchange says


def result(content: object) -> Reply:
    return as_json({"error": [], "result": content})


def empty() -> Refusal:
    """Return what too many calls get: a success with nothing in it."""
    return Refusal(Reply(b"", 200, {"Content-Type": JSON}))


def unknown_pair() -> Refusal:
    return Refusal(as_json({"error": [UNKNOWN_PAIR], "result": None}))


def bad_arguments() -> Refusal:
    return Refusal(_error(BAD_ARGUMENTS))


def failure(status: int, retry_after: int | None, now_ms: int) -> Reply:
    """Word an HTTP status as Kraken does, by a code in HTTP 200; others' come as pages."""
    if status in _OF_OTHERS:
        return as_page(f"{status} error", status)
    return _error(_CODES.get(status, _CODES[500]))


def _error(code: str) -> Reply:
    return as_json({"error": [code]})
