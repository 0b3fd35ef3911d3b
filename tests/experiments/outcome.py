"""What an experiment found."""

import subprocess
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Number = int | float | str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, what was counted meanwhile, and what broke the promise: `faults`, a line each.

    The promise holds where there is no fault.
    """

    did: str
    numbers: dict[str, Number]
    faults: list[str]


def faults_of(name: str, find: Callable[..., Iterable[str]], *arguments: object) -> list[str]:
    """Return the faults that one part of an experiment found, under its name.

    What it waited for in vain is one, after those found till then: the parts after it are tried all
    the same.
    """
    found = []
    try:
        for text in find(*arguments):
            found.append(f"{name}: {text}")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        found.append(f"{name}: {str(error) or _line_of(error)}")
    return found


def faults_of_rounds(
    kinds: Iterable[str], rounds: int, find: Callable[[str, int], Iterable[str]]
) -> list[str]:
    """Return the faults of so many rounds of each kind; `find` takes the kind and the round."""
    return [
        text
        for kind in kinds
        for number in range(rounds)
        for text in faults_of(f"{kind} {number}", find, kind, number)
    ]


def _line_of(error: BaseException) -> str:
    """Return the check that says nothing by itself."""
    return f"a check failed: {traceback.extract_tb(error.__traceback__)[-1].line}"
