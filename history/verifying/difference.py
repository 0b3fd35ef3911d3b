"""What a file of history and the manifest say differently."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from history.models import HistoryFile


class Kind(StrEnum):
    """What is not as it should be."""

    MISSING = "missing"  # the manifest knows a file that is not there
    ALTERED = "altered"  # its digest is another
    UNREADABLE = "unreadable"  # it is no Parquet file with our columns
    COUNT = "count"  # rows or bytes are more or fewer than the manifest says
    ORDER = "order"  # rows are not sorted, or there are two of a time
    GRID = "grid"  # a row does not open where a bar of its timeframe does
    MONTH = "month"  # a row opens outside of the file's month
    VALUES = "values"  # a row has no number where one belongs, or a low above its high
    UNCOVERED = "uncovered"  # there are rows of which the manifest says that nothing is known
    COVERAGE = "coverage"  # the file itself says that it covers something else
    UNKNOWN = "unknown"  # a file that the manifest does not know
    ELSEWHERE = "elsewhere"  # a manifest of another place has what this place has not


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be; `file` is None where the manifest knows none."""

    kind: Kind
    path: str
    text: str
    file: HistoryFile | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        found: dict[str, Any] = {"kind": self.kind, "path": self.path, "text": self.text}
        if self.file is not None:
            pair = self.file.pair
            found |= {"symbol": pair.symbol, "timeframe": pair.timeframe, "month": self.file.month}
        return found
