"""What JSON out of Redis has to look like before anybody counts on it: ValueError for all else."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import orjson

LARGEST_VALUE = 8_000_000  # bytes; nothing of ours is near that
LARGEST_NUMBER = 10**18


def parse_object(text: bytes | str | None) -> dict[str, Any]:
    """Return the JSON object that a text holds."""
    if not isinstance(text, bytes | str):
        raise ValueError("no text")
    if len(text) > LARGEST_VALUE:
        raise ValueError(f"too long: {len(text):,} bytes")
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__} in place of an object")
    return found


def is_number(found: Any) -> bool:
    """Tell whether it is a number that can be reckoned with: finite, and no boolean."""
    return type(found) in (int, float) and isfinite(found) and abs(found) < LARGEST_NUMBER


def is_text(found: Any) -> bool:
    return isinstance(found, str)


def is_texts(found: Any) -> bool:
    return isinstance(found, list) and all(map(is_text, found))


def is_numbers(found: Any) -> bool:
    return isinstance(found, list) and all(map(is_number, found))


def maps_to(is_value: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return what tells whether it is an object all of whose values are so."""
    return lambda found: isinstance(found, dict) and all(map(is_value, found.values()))


def text_in(found: Mapping[str, Any], name: str) -> str:
    """Return a field that is a text."""
    if not is_text(found.get(name)):
        raise ValueError(f"{name} is no text")
    return found[name]


def whole_in(found: Mapping[str, Any], name: str) -> int:
    """Return a field that is a whole number, 0 or more."""
    value = found.get(name)
    if type(value) is not int or not 0 <= value < LARGEST_NUMBER:
        raise ValueError(f"{name} is no whole number")
    return value


def optional(is_value: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return what tells whether it is None, or so."""
    return lambda found: found is None or is_value(found)


def check_types(found: Mapping[str, Any], types: Mapping[str, Callable[[Any], bool]]) -> None:
    """Raise ValueError for a field that is there and is not as `types` want it."""
    for name, is_right in types.items():
        if name in found and not is_right(found[name]):
            raise ValueError(f"{name} makes no sense")
