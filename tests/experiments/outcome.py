"""What an experiment found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Figure = int | float | str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, what was counted meanwhile, and what broke the promise: `faults`, a line each.

    The promise holds where there is no fault.
    """

    did: str
    figures: dict[str, Figure]
    faults: list[str]


def faults_of(name: str, find: Callable[..., Iterable[str]], *arguments: object) -> list[str]:
    """Return the faults that one part of an experiment found, under its name.

    What it waited for in vain is one: the parts after it are tried all the same.
    """
    try:
        return [f"{name}: {text}" for text in find(*arguments)]
    except AssertionError as error:
        return [f"{name}: {str(error) or 'a check failed'}"]
