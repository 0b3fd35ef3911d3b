"""What a tool takes: told to assistants as a schema, and what they give is held to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from livermore_reader.errors import BadRequest

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "integer", "minimum": 1},
    "truth": {"type": "boolean"},
    "names": {"type": "array", "items": {"type": "string"}},
}
EXAMPLES = {"text": "a text", "number": "a whole number, 1 or more", "truth": "true or false"}
EXAMPLES["names"] = "a list of names"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One that a tool takes, of a kind of `SCHEMAS`."""

    kind: str
    meaning: str
    required: bool = False


def schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return them as JSON Schema."""
    return {
        "type": "object",
        "properties": {
            name: {**SCHEMAS[each.kind], "description": each.meaning}
            for name, each in parameters.items()
        },
        "required": [name for name, each in parameters.items() if each.required],
        "additionalProperties": False,
    }


def taken(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given, as a tool takes it; null is as if it weren't. Raises BadRequest."""
    for name in given:
        if name not in parameters:
            similar = get_close_matches(name, parameters, 1)
            hint = f"did you mean {similar[0]}?" if similar else f"known: {', '.join(parameters)}"
            raise BadRequest(f"there is no argument {name[:50]!r}; {hint}")
    found = {name: value for name, value in given.items() if value is not None}
    for name, each in parameters.items():
        if each.required and name not in found:
            raise BadRequest(f"{name} is missing: {each.meaning}")
    return {name: _value(name, parameters[name].kind, value) for name, value in found.items()}


def _value(name: str, kind: str, given: Any) -> Any:
    value = given
    if kind == "names" and isinstance(given, str):
        value = [each.strip() for each in given.split(",")]
    elif kind == "number" and isinstance(given, str) and given.strip().isdecimal():
        value = int(given)
    if not _is(kind, value):
        raise BadRequest(f"{name} has to be {EXAMPLES[kind]}, not {str(given)[:50]!r}")
    return value


def _is(kind: str, value: Any) -> bool:
    if kind == "number":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if kind == "names":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, bool if kind == "truth" else str)
