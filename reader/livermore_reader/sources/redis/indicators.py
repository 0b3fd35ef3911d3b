"""MACD-V as Redis keeps it, and whether it stands on the newest candle. Pure."""

import json
from typing import Any, NamedTuple

from livermore_reader.selection import GRACE_MS
from livermore_reader.sources.redis.pair import read_coverage, read_rows, told_empty
from livermore_reader.stretches import missing, union
from livermore_reader.times import length_ms


class Kept(NamedTuple):
    """What Redis has of a pair's value and of its newest candle."""

    value: bytes | None
    coverage: bytes | None
    newest: list[bytes] | None
    unconfirmed: bytes | None


def read_value(symbol: str, timeframe: str, kept: Kept, lag_ms: int, now_ms: int) -> dict[str, Any]:
    """Return a value as it is kept, and whether it is current.

    It is where no newer candle is there, and no bar since then is unknown.
    """
    pair = {"symbol": symbol, "timeframe": timeframe}
    try:
        value = json.loads(kept.value or b"null")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return {**pair, "current": False}
    step = length_ms(timeframe)
    rows = read_rows(kept.newest)
    known = union([*read_coverage(kept.coverage), *told_empty(kept.unconfirmed, step, lag_ms)])
    is_newest = bool(rows) and value.get("timestamp") == rows[-1][0]
    until_ms = (now_ms - GRACE_MS) // step * step
    is_current = is_newest and not missing(known, rows[-1][0] + step, until_ms)
    return {**pair, **value, "current": is_current}
