"""What Binance's USD-M futures say when they don't answer."""

from exchanges.sandbox.binance import errors as spot
from exchanges.sandbox.server.calls import Reply, as_json

BAD_SYMBOL = -1121, "Invalid symbol."
BAD_INTERVAL = -1120, "Invalid interval."


def refused(code: int, message: str) -> Reply:
    """Return what is answered to a request that can't be."""
    return as_json({"code": code, "msg": message}, 400)


def missing(name: str) -> Reply:
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return refused(-1102, text)


def invalid(name: str) -> Reply:
    return refused(-1130, f"Data sent for parameter '{name}' is not valid.")


def limited(status: int, until_ms: int, limit: int) -> Reply:
    """Word a limit that was passed: whoever waits has to know by himself for how long."""
    if status == 418:
        text = (
            f"Way too many requests; IP(127.0.0.1) banned until {until_ms}. "
            "Please use the websocket for live updates to avoid bans."
        )
    else:
        text = (
            f"Too many requests; current limit of IP(127.0.0.1) is {limit} requests per minute. "
            "Please use the websocket for live updates to avoid polling the API."
        )
    return as_json({"code": -1003, "msg": text}, status)


def failure(status: int, retry_after: int | None, now_ms: int) -> Reply:
    """Word any other HTTP status, as spot does; how long to wait is told where somebody says so."""
    return spot.failure(status, retry_after, now_ms)
