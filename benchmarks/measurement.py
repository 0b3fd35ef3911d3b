"""What a benchmark found out."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One thing measured; its target is `at_most` or `at_least`, neither where it only compares."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    note: str = ""
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        high_enough = self.at_least is None or self.value >= self.at_least
        return high_enough and (self.at_most is None or self.value <= self.at_most)

    def row(self) -> list[str]:
        """Return what, measurement, note, target and verdict, as a person reads them."""
        if self.at_most is not None:
            target = _text(self.at_most, self.unit)
        elif self.at_least is not None:
            target = f"≥ {_text(self.at_least, self.unit)}"
        else:
            return [self.what, _text(self.value, self.unit), self.note, "", ""]
        verdict = "yes" if self.holds else "NO"
        return [self.what, _text(self.value, self.unit), self.note, target, verdict]


def median_seconds(what: str, runs: Sequence[float], at_most: float | None = None) -> Measurement:
    """Return the median of several runs as a measurement that tells their range too."""
    note = f"{len(runs)} runs, {min(runs):.3g} to {max(runs):.3g} s"
    return Measurement(what, statistics.median(runs), "s", at_most, note)


def _text(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
