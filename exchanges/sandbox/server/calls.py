"""One request to an exchange and the answer to it, without a socket."""

from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from multidict import MultiMapping

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
    """A request as a protocol sees it; `segment` is the part of the path that varies."""

    params: MultiMapping[str]
    headers: MultiMapping[str]
    path: str
    segment: str
    now_ms: int


def as_json(content: object, status: int = 200) -> Reply:
    return Reply(orjson.dumps(content), status, {"Content-Type": JSON})


def as_page(text: str, status: int) -> Reply:
    """A web page where a client expects JSON, as firewalls and gateways in front send them."""
    body = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return Reply(body.encode(), status, {"Content-Type": HTML})


def whole_number(text: str | None) -> int | None:
    """Read digits, or None where it is anything else."""
    return int(text) if text and text.isascii() and text.isdigit() else None
