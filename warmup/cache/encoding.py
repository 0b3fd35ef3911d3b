"""What a pair's keys hold, as Python and the scripts both understand it."""

import logging
from typing import Any

import orjson

from exchanges.errors import clip
from exchanges.redis.scripts import Constant
from exchanges.redis.unreadable import warn_once
from livermore.market.candle import EARLIEST_MS, LATEST_MS
from livermore.market.coverage import Coverage, Interval, union
from livermore.market.timeframe import Timeframe

logger = logging.getLogger(__name__)

LONGEST_COVERAGE = 1_000_000  # bytes; a stretch for each candle is 32 KB

PAIR_CONSTANTS: dict[str, Constant] = {
    "STEPS": {each.value: each.ms for each in Timeframe},
    "EARLIEST_MS": EARLIEST_MS,
    "LATEST_MS": LATEST_MS,
    "LONGEST_COVERAGE": LONGEST_COVERAGE,
}


def read_coverage(stored: bytes | None, name: str) -> Coverage:
    """Return what the coverage at a key says: all of it, or nothing, as scripts do."""
    if not stored:
        return ()
    try:
        if len(stored) > LONGEST_COVERAGE:
            raise ValueError("too long")
        return union(_span(*each) for each in _list(orjson.loads(stored)))
    except (ValueError, TypeError) as error:
        warn_once(logger, name, f"no coverage: {error}")
        return ()


def _list(found: Any) -> list:
    if not isinstance(found, list):
        raise TypeError(f"{clip(repr(found))} is no list")
    return found


def _span(start: Any, end: Any) -> Interval:
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= LATEST_MS:
        raise ValueError(f"{clip(repr((start, end)))} is no stretch of time")
    return start, end


def read_time(score: bytes | float | None) -> int | None:
    """Return a score as an open time, None where it is none."""
    time_ms = float("nan") if score is None else float(score)
    return int(time_ms) if EARLIEST_MS <= time_ms < LATEST_MS else None
