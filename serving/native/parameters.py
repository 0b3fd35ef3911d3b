"""The kinds of parameters that a request to /v1/ may have.

Each is declared once: what it is read by is what the OpenAPI document says of it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from multidict import MultiMapping

from livermore.market.candle import EARLIEST_MS, LATEST_MS, is_time
from serving.native.errors import BadRequest

Value = TypeVar("Value")
Schema = dict[str, Any]

QUERY, HEADER = "query", "header"
EVENT_ID = r"\d{1,15}-\d{1,19}"


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(ABC, Generic[Value]):
    """A parameter: its name, and what it means, in sentences for the document."""

    name: str
    meaning: str
    example: Any = None
    is_required: bool = False
    where: str = QUERY

    @abstractmethod
    def schema(self) -> Schema:
        """Return which texts are taken, as JSON Schema."""

    @abstractmethod
    def made(self, text: str) -> Value:
        """Return what a text says. Raises BadRequest."""

    def absent(self) -> Value:
        """Return what it is where it isn't given. Raises BadRequest."""
        if self.is_required:
            raise BadRequest(f"{self.name} is missing")
        return cast(Value, None)


@dataclass(frozen=True, slots=True, eq=False)
class Text(Parameter[str]):
    """Any text but an empty one."""

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}

    def made(self, text: str) -> str:
        return text or Parameter.absent(self)


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Parameter[Value]):
    """One of some words, each of which stands for a value."""

    values: Mapping[str, Value] | None = None

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.values or ())}

    def made(self, text: str) -> Value:
        return _chosen(self, self.values or {}, text)


@dataclass(frozen=True, slots=True, eq=False)
class Choices(Parameter[Sequence[Value] | None]):
    """Some of some words, separated by commas."""

    values: Mapping[str, Value] | None = None

    def schema(self) -> Schema:
        return _list_of({"type": "string", "enum": list(self.values or ())})

    def made(self, text: str) -> Sequence[Value]:
        return [_chosen(self, self.values or {}, each) for each in _split(self, text)]


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Parameter[Sequence[str] | None]):
    """Any words, separated by commas."""

    def schema(self) -> Schema:
        return _list_of({"type": "string", "minLength": 1})

    def made(self, text: str) -> Sequence[str]:
        return _split(self, text)


@dataclass(frozen=True, slots=True, eq=False)
class Time(Parameter[int | None]):
    """A moment, in UTC epoch milliseconds or in ISO 8601; what says no time zone is UTC."""

    def schema(self) -> Schema:
        whole = {"type": "integer", "minimum": EARLIEST_MS, "maximum": LATEST_MS - 1}
        texts = [{"type": "string", "format": each} for each in ("date-time", "date")]
        return {"anyOf": [whole, *texts]}

    def made(self, text: str) -> int:
        try:
            return parse_time(text)
        except ValueError as error:
            raise BadRequest(f"{self.name}: {error}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Count(Parameter[Value]):
    """A whole number from `least` to `most`; `default` where it isn't given."""

    least: int = 1
    most: int = 1
    default: int | None = None

    def schema(self) -> Schema:
        found: Schema = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return found if self.default is None else found | {"default": self.default}

    def made(self, text: str) -> Value:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(self.most))
        if not (is_number and self.least <= int(text) <= self.most):
            raise BadRequest(f"{self.name} is a number from {self.least} to {self.most}")
        return cast(Value, int(text))

    def absent(self) -> Value:
        return cast(Value, self.default)


@dataclass(frozen=True, slots=True, eq=False)
class Flag(Parameter[bool]):
    """1 for yes, 0 for no."""

    def schema(self) -> Schema:
        return {"type": "integer", "enum": [0, 1], "default": 0}

    def made(self, text: str) -> bool:
        if text not in ("0", "1"):
            raise BadRequest(f"{self.name} is 0 or 1")
        return text == "1"

    def absent(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, eq=False)
class EventId(Parameter[str | None]):
    """The id of an event; an empty text counts as none."""

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({EVENT_ID})?$"}

    def made(self, text: str) -> str | None:
        if text and not re.fullmatch(EVENT_ID, text, re.ASCII):
            raise BadRequest(f"{text[:40]!r} is no id of an event, such as 1795894200000-0")
        return text or None


class Sent:
    """The parameters of a request, each by its declaration."""

    def __init__(self, values: Mapping[Parameter, Any]):
        self._values = values

    def __getitem__(self, parameter: Parameter[Value]) -> Value:
        """Return what was given. KeyError for one that is not declared of what was asked."""
        return self._values[parameter]


def read(
    declared: Sequence[Parameter], query: MultiMapping[str], headers: MultiMapping[str]
) -> Sent:
    """Return what a request says of all that may be given. Raises BadRequest.

    What is not declared is refused: it may be a mistyped name.
    """
    values = {}
    for parameter in declared:
        given = query if parameter.where == QUERY else headers
        texts = given.getall(parameter.name, [])
        if len(texts) > 1:
            raise BadRequest(f"{parameter.name} was given {len(texts)} times")
        values[parameter] = parameter.made(texts[0]) if texts else parameter.absent()
    names = sorted(each.name for each in declared if each.where == QUERY)
    if unknown := sorted(set(query) - set(names)):
        known = ", ".join(names) or "none"
        raise BadRequest(f"{unknown[0][:50]} is not known here; known: {known}")
    return Sent(values)


def parse_time(text: str) -> int:
    """Return a time in UTC epoch ms. Raises ValueError."""
    if text.isascii() and text.isdigit():
        found = int(text[:20])
        if not is_time(found):
            raise ValueError(f"{text[:30]} is no time in epoch milliseconds")
        return found
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is no time: write ms since 1970, or 2026-11-28T12:00:00Z"
        ) from None
    found = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if not EARLIEST_MS <= found < LATEST_MS:
        raise ValueError(f"{text[:40]} is not in this century")
    return found


def _chosen(parameter: Parameter, values: Mapping[str, Value], text: str) -> Value:
    try:
        return values[text]
    except KeyError:
        known = " ".join(values)
        what = f"unknown {parameter.name.removesuffix('s')}"
        raise BadRequest(f"{parameter.name}: {what} {text[:40]!r}; known are {known}") from None


def _split(parameter: Parameter, text: str) -> list[str]:
    found = [each for each in text.split(",") if each]
    if not found:
        raise BadRequest(f"{parameter.name} names none: leave it out for all")
    return found


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}
