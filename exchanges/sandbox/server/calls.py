"""One request to an exchange and the answer to it, without a socket."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from multidict import MultiMapping

from exchanges.sandbox.faults.rows import Columns
from exchanges.sandbox.server.request_log import CandleRequest

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(slots=True)
class Reply:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The exchange's own error answer."""

    def __init__(self, reply: Reply):
        super().__init__(reply.status)
        self.reply = reply


class Call(NamedTuple):
    """A request as a handler sees it; `segment` is the part of the path that names a product."""

    params: MultiMapping[str]
    headers: MultiMapping[str]
    path: str
    segment: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a protocol. `candles` reads a candle request for the log, before any check."""

    name: str
    path: str
    answer: Callable[[Call], Reply]
    weight: Callable[[Call], int] = lambda call: 1
    candles: Callable[[Call], CandleRequest] | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """One exchange's endpoints, limits and errors.

    `admit` counts a call against its limits and returns the headers that every answer carries,
    or raises Refusal. `failure` words a status the way this exchange does, given seconds to
    wait (or None) and the time. `table` and `columns` say where a candle reply keeps its rows.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    admit: Callable[[Endpoint, Call], dict[str, str]]
    failure: Callable[[int, int | None, int], Reply]
    columns: Columns
    table: str | None = None


def as_json(content: object, status: int = 200, **headers: str) -> Reply:
    return Reply(orjson.dumps(content), status, {"Content-Type": JSON, **headers})


def as_page(text: str, status: int) -> Reply:
    """A web page where a client expects JSON, as firewalls and gateways in front send them."""
    body = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return Reply(body.encode(), status, {"Content-Type": HTML})


def whole_number(text: str | None) -> int | None:
    """Read digits, or None where it is anything else."""
    return int(text) if text and text.isascii() and text.isdigit() else None
