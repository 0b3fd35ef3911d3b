"""What a check found: each step with its result, its time and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """How a step ended. SKIP: it wasn't needed, or an earlier failure left nothing to try."""

    PASS = "PASS"  # noqa: S105  no password
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended that did not fail; `advice` where a person should still do something."""

    detail: str
    advice: str | None = None
    result: Result = Result.PASS


class Failed(Exception):
    """A step failed: what was found, what to do, and which needs of later steps are gone."""

    def __init__(self, detail: str, remedy: str, spoils: Iterable[str] = ()):
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.spoils = tuple(spoils)


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was tried, or why it was not. `remedy` is one line, None if all is well."""

    name: str
    title: str
    result: Result
    seconds: float
    detail: str
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "name": self.name,
            "title": self.title,
            "result": self.result,
            "seconds": round(self.seconds, 3),
            "detail": self.detail,
            "remedy": self.remedy,
        }


@dataclass(slots=True)
class CheckReport:
    """What a check found. `symbol` is the one it was done with, None if it found none."""

    exchange: str
    exchange_id: int
    symbol: str | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Return whether no step failed; one that was skipped for a failure comes with that."""
        return all(step.result is not Result.FAIL for step in self.steps)

    @property
    def found_symbol(self) -> bool:
        """Return whether the exchange answered, and lists the symbol that was to be tried."""
        return any(each.name == "symbol" and each.result is Result.PASS for each in self.steps)

    def count(self, result: Result) -> int:
        """Return how many steps ended so."""
        return sum(step.result is result for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "exchange": self.exchange,
            "exchangeId": self.exchange_id,
            "symbol": self.symbol,
            "passed": self.passed,
            "steps": [step.as_json() for step in self.steps],
        }
