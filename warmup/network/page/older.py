"""What a pair's chart shows of earlier than its page came with: of the cache, and of history."""

import logging
from typing import Any

from django.db import Error as DatabaseError
from redis import Redis

from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.redis.unreadable import warn_once
from exchanges.venues import VENUES
from history.reading import Reading, cached_in, open_store
from livermore.market.candle import LATEST_MS
from livermore.market.pair import Pair
from warmup.cache.candles import CandleCache
from warmup.cache.indicator_window import ROW
from warmup.network.page.pair_view import points_of, read_pair

logger = logging.getLogger(__name__)

AT_ONCE = 500
# Bars before the first one that is shown, which MACD-V there stands on: the average of 26 has
# forgotten what was before them, to rounding (25/26 to the power of 674 is 3e-12).
BARS_BEFORE = 700


def read_older(
    redis: Redis, exchange: Exchange, pair: Pair, time_ms: int, before_ms: int
) -> dict[str, Any]:
    """Return up to 500 candles that opened before `before_ms`, as `PairView.before` has them.

    All that a page shows of earlier than it came with is asked for here: of history too, where that
    can be read.
    """
    try:
        found = _with_history(redis, exchange, pair, time_ms, before_ms)
    except (LivermoreError, DatabaseError) as error:
        warn_once(logger, f"history of {exchange.name}", error)
        found = None
    return found or read_pair(redis, exchange.pk, *pair, time_ms).before(before_ms, AT_ONCE)


def _with_history(
    redis: Redis, exchange: Exchange, pair: Pair, time_ms: int, before_ms: int
) -> dict[str, Any] | None:
    """Return the same of cache and history together, None where there is no history."""
    store = open_store(exchange)
    if store is None:
        return None
    symbol, timeframe = pair
    lag_ms = VENUES[exchange.venue].lag_ms if exchange.venue in VENUES else LATEST_MS
    cached = cached_in(CandleCache(redis, exchange.pk), symbol, lag_ms)
    end_ms = min(timeframe.ceil(before_ms), timeframe.floor(time_ms))
    count = AT_ONCE + BARS_BEFORE
    found = Reading(store, symbol, cached).newest(timeframe, end_ms, count)
    rows = [row[: len(ROW)] for row in found.rows[-count:]]
    shown = rows[-AT_ONCE:]
    first_ms = int(shown[0][0]) if shown else end_ms
    traded = {row[0] for row in shown}
    quiet = [
        time
        for start, end in found.covered
        for time in range(max(start, first_ms), min(end, end_ms), timeframe.ms)
        if time not in traded
    ]
    points = [point for point in points_of(rows, pair) if point[0] >= first_ms]
    return {"candles": shown, "macdv": points, "quiet": quiet}
