"""One pair as a page shows it: its candles, what is known of them, and MACD-V."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

import orjson
from redis import Redis

from exchanges.redis.json_types import is_numbers
from exchanges.redis.unreadable import warn_once
from livermore.market.candle import ROW_LENGTHS, is_time
from livermore.market.coverage import Coverage
from livermore.market.indicators import macd_v_series
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe, parse_timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.indicator_window import ROW, rows_of
from warmup.cache.indicators import IndicatorCache
from warmup.cache.pair_state import PairState
from warmup.network.page.cells import GRACE_MS
from warmup.repair import missing_ranges

logger = logging.getLogger(__name__)

BARS_AT_FIRST = 300  # that come with a page; a reader who goes back asks for those before

POINT = ("timestamps", "value", "signal", "histogram")
Row = list[int | float]
Point = tuple[int, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair as it was at `time_ms` of the exchange's time, read at `server_ms` of ours.

    `rows` and `points` are oldest first, a row is `[timestamp, open, high, low, close, volume]`.
    `missing` are the stretches of its window that are not covered, less what closed a moment ago.
    `points` are MACD-V's value, signal and histogram as of each candle, None where there is none.
    """

    exchange_id: int
    pair: Pair
    time_ms: int
    server_ms: int
    rows: Sequence[Row]
    live: Row | None
    coverage: Coverage
    missing: Coverage
    indicator: dict[str, Any] | None
    points: Sequence[Point]

    def newest(self, count: int) -> "PairView":
        """Return the same with its newest candles alone."""
        return replace(self, rows=self.rows[-count:], points=self.points[-count:])

    def before(self, time_ms: int, count: int) -> dict[str, Any]:
        """Return the newest candles that opened before a time: `candles`, `macdv` and `quiet`."""
        candles = [row for row in self.rows if row[0] < time_ms][-count:]
        first_ms = candles[0][0] if candles else time_ms
        return {
            "candles": candles,
            "macdv": [point for point in self.points if first_ms <= point[0] < time_ms],
            "quiet": [time for time in self.quiet() if first_ms <= time < time_ms],
        }

    def quiet(self) -> list[int]:
        """Return the open times of covered bars without a candle: nothing was traded in them."""
        length = self.pair.timeframe.ms
        end_ms = self.pair.timeframe.floor(self.time_ms)
        traded = {int(row[0]) for row in self.rows}
        first_ms = max(min(traded, default=end_ms), end_ms - CANDLES_KEPT * length)
        times = (
            time
            for start, end in self.coverage
            for time in range(max(start, first_ms), min(end, end_ms), length)
        )
        return [time for time in times if time not in traded]

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        columns = list(zip(*self.points, strict=True)) or [()] * 4
        return self._head() | {
            "candles": self.rows,
            "live": self.live,
            "coverage": self.coverage,
            "missing": self.missing,
            "quiet": self.quiet(),
            "indicator": self.indicator,
            "macdv": dict(zip(POINT, columns, strict=True)),
        }

    def since(self, before: "PairView | None") -> dict[str, Any]:
        """Return the message `pair` of `network.socket.consumer`: what is new or has changed."""
        rows = {row[0]: row for row in before.rows} if before else {}
        points = {point[0]: point for point in before.points} if before else {}
        return (
            {"type": "pair"}
            | self._head()
            | {
                "candles": [row for row in self.rows if rows.get(row[0]) != row],
                "live": self.live,
                "indicator": self.indicator,
                "missing": self.missing,
                "macdv": [point for point in self.points if points.get(point[0]) != point],
            }
        )

    def _head(self) -> dict[str, Any]:
        symbol, timeframe = self.pair
        return {
            "exchangeId": self.exchange_id,
            "symbol": symbol,
            "timeframe": timeframe,
            "serverTime": self.server_ms,
        }


def read_pair(
    redis: Redis,
    exchange_id: int,
    symbol: str,
    timeframe: Timeframe | str,
    time_ms: int,
    idle: bool = False,
) -> PairView:
    """Return a pair with up to 1,000 closed candles, at `time_ms` of the exchange's time.

    `idle`: the symbol does not trade, so nothing is missing behind what is known of it.
    """
    pair = Pair(symbol, parse_timeframe(timeframe))
    cache = CandleCache(redis, exchange_id)
    [(_, members, coverage)] = cache.windows([pair])
    rows = _rows(members, pair)
    [indicator] = IndicatorCache(redis, exchange_id).read_many([pair])
    state = PairState(len(rows), int(rows[0][0]) if rows else None, coverage if rows else ())
    missing = missing_ranges(state, pair.timeframe, time_ms, GRACE_MS)
    if idle:
        known_until = coverage[-1][1] if coverage else 0
        missing = tuple(span for span in missing if span[0] < known_until)
    return PairView(
        exchange_id,
        pair,
        time_ms,
        int(time.time() * 1000),
        rows,
        _live(cache, pair),
        coverage,
        missing,
        indicator,
        points_of(rows, pair),
    )


def _rows(members: Sequence[bytes], pair: Pair) -> list[Row]:
    """Return the rows that can be read: somebody else may have written others."""
    try:
        found = rows_of(members)
    except ValueError:
        found = [_parsed(member) for member in members]
    rows = [row[: len(ROW)] for row in found if _is_row(row)]
    times = Counter(row[0] for row in rows)
    rows = [row for row in rows if times[row[0]] == 1]  # nobody knows which of two is true
    rows.sort(key=lambda row: row[0])
    if len(rows) < len(members):
        what = f"{len(members) - len(rows)} rows of {pair.symbol} {pair.timeframe} can't be read"
        warn_once(logger, "candles", what)
    return rows


def _live(cache: CandleCache, pair: Pair) -> Row | None:
    candle = cache.live(*pair)
    return candle.values() if candle else None


def _parsed(member: bytes) -> Any:
    try:
        return orjson.loads(member)
    except ValueError:
        return None


def _is_row(found: Any) -> bool:
    return is_numbers(found) and len(found) in ROW_LENGTHS and is_time(found[0])


def points_of(rows: Sequence[Row], pair: Pair) -> list[Point]:
    """Return MACD-V as of each row, None where there is none; nothing of rows that can't be."""
    try:
        series = macd_v_series(rows, pair.timeframe)
    except (ValueError, TypeError) as error:  # rows that somebody else wrote
        warn_once(logger, "candles", f"no MACD-V of {pair.symbol} {pair.timeframe}: {error}")
        return []
    numbers = zip(*([None if isnan(each) else each for each in of] for of in series), strict=True)
    return [(row[0], *point) for row, point in zip(rows, numbers, strict=True)]
