"""Up to when a pair's closes were told to those who read the events."""

from dataclasses import dataclass

import orjson

from livermore.market.candle import check_time
from livermore.market.coverage import Coverage, Interval, union


@dataclass(frozen=True, slots=True)
class Told:
    """Everything before `until_ms` was told, but for the stretches that were `skipped`."""

    until_ms: int
    skipped: Coverage = ()

    @classmethod
    def load(cls, stored: bytes | None) -> "Told | None":
        """Return what a flush stored; None where nothing was, or nothing that can be read."""
        try:
            until_ms, skipped = orjson.loads(stored or b"null")
            return cls(check_time(until_ms), union(_span(*each) for each in skipped))
        except (ValueError, TypeError):
            return None


def _span(start_ms: int, end_ms: int) -> Interval:
    return check_time(start_ms), check_time(end_ms)
