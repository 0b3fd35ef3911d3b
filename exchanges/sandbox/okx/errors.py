"""What OKX says when it doesn't answer: mostly with a code of its own, and often with HTTP 200."""

from exchanges.sandbox.server.calls import Refusal, Reply, as_json, as_page

UNKNOWN_INSTRUMENT = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
_MESSAGES = {
    429: ("50011", "Too Many Requests"),
    451: ("50110", "Your IP is in a region that is not served."),
    503: ("50001", "Service temporarily unavailable. Try again later"),
}


def data(rows: list) -> Reply:
    """Wrap what is answered."""
    return as_json({"code": "0", "msg": "", "data": rows})


def unknown_instrument() -> Refusal:
    return Refusal(_error("51001", UNKNOWN_INSTRUMENT, 200))


def bad_parameter(name: str) -> Refusal:
    return Refusal(_error("51000", f"Parameter {name} error", 400))


def failure(status: int, retry_after: int | None, now_ms: int) -> Reply:
    """Word an HTTP status as OKX does; 403 and gateways' come from in front of it, as pages."""
    if status in (403, 502, 504):
        return as_page(f"{status} error", status)
    code, message = _MESSAGES.get(status, ("50026", "System error. Try again later"))
    reply = _error(code, message, status)
    if retry_after is not None:
        reply.headers["Retry-After"] = str(retry_after)
    return reply


def _error(code: str, message: str, status: int) -> Reply:
    return as_json({"code": code, "data": [], "msg": message}, status)
