"""Scenarios as they are written on the command line."""

from dataclasses import fields
from typing import get_args

from exchanges.sandbox.faults.scenario import TIMED, Scenario

USUAL_EVERY = 60.0  # seconds, of what is timed


def parse_scenarios(text: str) -> list[dict]:
    """Read `drop:every=60,late_close:delay=10:symbol=BTC-USD` as settings, one per scenario.

    What is timed gets an `every` where it has none: at the start nobody is there yet.
    Raises ValueError for what can't be read.
    """
    return [_parsed(part) for part in text.split(",") if part]


def _parsed(part: str) -> dict:
    kind, *options = part.split(":")
    settings: dict = {"kind": kind}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or name not in _OPTIONS:
            raise ValueError(f"unknown option {option!r} of {kind}; known are {' '.join(_OPTIONS)}")
        settings[name] = _OPTIONS[name](value)
    if kind in TIMED:
        settings.setdefault("every", USUAL_EVERY)
    Scenario(**settings)
    return settings


def _reader(annotation: object) -> type:
    """Return int, float or str, whatever else the annotation allows."""
    return next(one for one in (*get_args(annotation), annotation) if one in (int, float, str))


_OPTIONS = {
    one.name: _reader(one.type)
    for one in fields(Scenario)
    if one.init and one.name not in ("kind", "hits")
}
