"""What Binance's clients ask for on a WebSocket, and how it answers (web-socket-streams.md)."""

import re
from typing import Any

import orjson

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
METHOD = re.compile(r'"method"\s*:\s*"(?:[^"\\]|\\.)*"')


class BadCommand(Exception):
    """A command that can't be done; `reply` is what the client gets."""

    def __init__(self, code: int, message: str, request_id: object = None):
        super().__init__(message)
        content = {"code": code, "msg": message}
        self.reply = orjson.dumps(content | ({} if request_id is None else {"id": request_id}))


def read_command(text: str | bytes) -> tuple[str, list, int | str | None]:
    """Return method, parameters and id of one message. Raises BadCommand."""
    try:
        sent = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise BadCommand(3, f"Invalid JSON: expected value at {place}") from None
    text = text if isinstance(text, str) else text.decode()
    if not isinstance(sent, dict):
        raise BadCommand(2, "Invalid request: expected an object at line 1 column 1")
    request_id = _request_id(sent.get("id"))
    if "method" not in sent:
        place = _place(text, len(text.rstrip()))
        raise BadCommand(2, f"Invalid request: missing field `method` at {place}", request_id)
    method, params = sent["method"], sent.get("params", [])
    if not isinstance(method, str):  # it may be nested deeper than can be written
        raise BadCommand(2, "Invalid request: method must be a string", request_id)
    if method not in METHODS:
        expected = ", ".join(f"`{one}`" for one in METHODS)
        found = METHOD.search(text)
        place = _place(text, found.end() if found else len(text))
        what = f"unknown variant `{method[:100]}`, expected one of {expected} at {place}"
        raise BadCommand(2, f"Invalid request: {what}", request_id)
    if not isinstance(params, list):
        raise BadCommand(2, "Invalid request: params must be an array", request_id)
    return method, params, request_id


def stream_names(params: list, request_id: object) -> list[str]:
    """Return the parameters of (UN)SUBSCRIBE. Raises BadCommand unless all are text."""
    if not params or not all(isinstance(name, str) for name in params):
        raise BadCommand(2, "Invalid request: stream names must be strings", request_id)
    return params


def property_value(params: list, request_id: object) -> bool:
    """Return what SET_PROPERTY sets `combined` to. Raises BadCommand."""
    _known_property(params, 2, request_id)
    if not isinstance(params[1], bool):
        raise BadCommand(1, "Invalid value type: expected Boolean", request_id)
    return params[1]


def check_property(params: list, request_id: object) -> None:
    """Raise BadCommand unless GET_PROPERTY asks for `combined`."""
    _known_property(params, 1, request_id)


def result(value: object, request_id: object) -> bytes:
    return orjson.dumps({"result": value, "id": request_id})


def too_many(request_id: object) -> bytes:
    """The one error that comes nested."""
    error = {"code": 4, "msg": "Too many subscriptions"}
    return orjson.dumps({"error": error, "id": request_id})


def _place(text: str, end: int) -> str:
    """Say where a text was read to, as their parser does."""
    read = text[:end]
    return f"line {read.count(chr(10)) + 1} column {end - read.rfind(chr(10)) - 1}"


def _request_id(value: Any) -> int | str | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    fits = number and -(2**63) <= value < 2**63
    if value is None or fits or (isinstance(value, str) and len(value) <= 36):
        return value
    raise BadCommand(2, "Invalid request: request ID must be an unsigned integer")


def _known_property(params: list, count: int, request_id: object) -> None:
    if len(params) > count:
        raise BadCommand(2, "Invalid request: too many parameters", request_id)
    if len(params) < count or not isinstance(params[0], str):
        raise BadCommand(2, "Invalid request: property name must be a string", request_id)
    if params[0] != "combined":
        raise BadCommand(0, "Unknown property", request_id)
