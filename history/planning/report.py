"""What filling history came to, for people and for programs."""

from dataclasses import dataclass, field
from typing import Any

from history.archives.taking import Taken

MOST_DIFFERENCES = 1000  # that are told one by one
TOO_OLD = "the exchange tells of nothing that old"  # why a stretch is not to be had


@dataclass(slots=True)
class ArchiveReport:
    """What came of bulk files, what of them was refused, and what REST tells otherwise."""

    files: int = 0
    octets: int = 0
    candles: int = 0
    refused_rows: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)
    different: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)  # the first ones
    trouble: str = ""

    def add(self, taken: Taken, candles: int) -> None:
        """Count a month, of which so many candles were new."""
        self.files += taken.files
        self.candles += candles
        self.refused_rows += taken.refused_rows
        self.refused += taken.refused
        self.different += len(taken.differences)
        room = MOST_DIFFERENCES - len(self.differences)
        self.differences += taken.differences[:room]

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "files": self.files,
            "bytes": self.octets,
            "candles": self.candles,
            "refusedRows": self.refused_rows,
            "refused": self.refused,
            "different": self.different,
            "trouble": self.trouble or None,
        }


@dataclass(slots=True)
class FillReport:
    """What a run did, and which stretches nobody knows after it."""

    candles: int = 0
    jobs: int = 0
    calls: int = 0
    weight: int = 0
    written: int = 0  # bytes
    seconds: float = 0.0
    archives: ArchiveReport = field(default_factory=ArchiveReport)
    unknown: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)

    @property
    def weight_per_minute(self) -> float:
        return self.weight / max(self.seconds / 60, 1)  # no more was used in the first minute

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "candles": self.candles,
            "candleCalls": self.calls,
            "weight": self.weight,
            "weightPerMinute": round(self.weight_per_minute, 1),
            "bytesWritten": self.written,
            "seconds": round(self.seconds, 1),
            "archives": self.archives.as_json(),
            "differences": self.archives.differences,
            "unknown": self.unknown,
            "failures": self.failures,
        }
