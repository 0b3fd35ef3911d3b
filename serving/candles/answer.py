"""An answer about candles, what is said of it, and why there is none."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from livermore.market.coverage import Coverage
from livermore.market.derived import AnyTimeframe
from serving.candles.unavailable import NoHistory, Unavailable
from serving.directory import ServedExchange
from serving.fetching.failures import Failure
from serving.memory.windows import Window

Found = TypeVar("Found")

NOT_TOLD = Failure("the exchange did not tell them")
NEWEST_CLOSE = "X-Livermore-Newest-Close"
LONGEST_FETCH_SECONDS = 10.0


class OlderThanKept(Exception):
    """What is `missing` is older than the cache keeps."""

    def __init__(self, missing: Coverage):
        super().__init__("older than the cache keeps")
        self.missing = missing


@dataclass(slots=True)
class CandleAnswer:
    """Closed candles `[first, last)` of a window, the open one's row, and what it stands on.

    They are all there were at `now_ms`, but for a bar that had ended just then.
    """

    window: Window
    first: int
    last: int
    open_row: list[Any] | None
    headers: dict[str, str]
    now_ms: int
    missing: Coverage = ()  # nothing but where it was asked for what there is
    until_ms: int | None = None  # up to when it was looked for them, where that isn't the end


def headers_of(window: Window, timeframe: AnyTimeframe, now_ms: int) -> dict[str, str]:
    """Return what is said of the closed candles of a window."""
    headers = {"X-Livermore-Complete": "1"}
    if window.times:
        newest_ms = window.times[-1] + timeframe.ms
        headers[NEWEST_CLOSE] = str(newest_ms)
        headers["Age"] = str(max(0, (now_ms - newest_ms) // 1000))
    return headers


async def in_time(
    fetching: Awaitable[Found], seconds: float = LONGEST_FETCH_SECONDS
) -> Found | Failure:
    try:
        async with asyncio.timeout(seconds):
            return await fetching
    except TimeoutError:
        return Failure(f"that takes longer than {seconds:.0f} s")


def not_known(
    exchange: ServedExchange,
    symbol: str,
    timeframe: AnyTimeframe,
    missing: Coverage,
    failure: Failure,
) -> Unavailable:
    start_ms, end_ms = missing[0][0], missing[-1][1]
    why, seconds = failure
    return Unavailable(
        f"{exchange.name} {symbol} {timeframe}: candles from {_utc(start_ms)} to {_utc(end_ms)} "
        f"are not known yet: {why}",
        seconds,
        missing,
    )


def no_history(
    exchange: ServedExchange, symbol: str, timeframe: AnyTimeframe, missing: Coverage, told_ms: int
) -> NoHistory:
    """Return what is raised for candles that are older than an exchange tells of."""
    return NoHistory(
        f"{exchange.name} {symbol} {timeframe}: no history before {_utc(told_ms)}: the exchange "
        f"tells of its newest {exchange.depth_rows} bars of a timeframe alone, and nothing older "
        "is kept here",
        missing=missing,
    )


def _utc(time_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms / 1000))
