"""A symbol's history under its new name: what the cache holds of the old one is kept."""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Any

from redis import Redis

from exchanges.errors import Permanent
from exchanges.lock.fencing import stamp
from exchanges.models import Exchange
from exchanges.redis.scripts import load_script
from exchanges.rest.base import VenueRest
from exchanges.symbols.renaming import check_rename, rename
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.encoding import PAIR_CONSTANTS
from warmup.cache.set_aside import refusals
from warmup.fetching import Fetcher

logger = logging.getLogger(__name__)

# One coin's price from its last trade under the old name to its first under the new one, at most
# this many times more or less. Beyond it one unit is not the other: it was divided or joined.
MOST_TIMES = 2.0

COPY = load_script("warmup/runner/lua/copy_candles.lua", PAIR_CONSTANTS)


def rename_symbol(
    redis: Redis,
    exchange: Exchange,
    cache: CandleCache,
    open_rest: Callable[[], VenueRest],
    old: str,
    new: str,
) -> dict[str, Any]:
    """Let `old` go on as `new`: its history is copied, then its rows are changed.

    What the cache holds under the old name stays. Raises UnknownSymbol where the one can't be the
    other by their rows, Permanent where it can't by their prices, and what the exchange says if
    prices of the new one have to be fetched; nothing is changed then.
    """
    check_rename(exchange, old, new)
    _check_prices(cache, open_rest, old, new)
    copied = 0
    for timeframe in LONGEST_FIRST:
        names = [
            name(exchange.pk, symbol, timeframe)
            for symbol in (old, new)
            for name in (keys.candles, keys.coverage)
        ]
        with refusals():
            copied += COPY(
                redis,
                [*names, keys.epoch(exchange.pk), keys.lock(exchange.pk)],
                [stamp(cache.epoch), CANDLES_KEPT],
            )
    is_monitored = rename(exchange, old, new)
    logger.info(
        "symbols.renamed exchange=%s from=%s to=%s candles=%d", exchange.name, old, new, copied
    )
    return {"from": old, "to": new, "candles": copied, "monitored": is_monitored}


def _check_prices(
    cache: CandleCache, open_rest: Callable[[], VenueRest], old: str, new: str
) -> None:
    """Raise Permanent where the prices before and after tell that these are two things."""
    if not any(cache.counts(pairs_of([old]))):
        return  # nothing is kept that could be wrong
    if not any(cache.counts(pairs_of([new]))):
        with closing(open_rest()) as rest:
            fetcher = Fetcher(rest, cache, pairs_of([new]))
            for pair in pairs_of([new]):  # one that has just been listed has no closed day yet
                if fetcher.fetch(pair):
                    break
    found = [each for each in (_ends(cache, old, new, t) for t in LONGEST_FIRST) if each]
    if not found:
        raise Permanent(f"no price of {new} is known yet: try again once it has traded")
    last, first = min(found, key=lambda ends: abs(ends[1].timestamp - ends[0].timestamp))
    times = first.open / last.close
    if not 1 / MOST_TIMES <= times <= MOST_TIMES:
        raise Permanent(
            f"the price of {new} begins at {first.open:g}, that of {old} ended at {last.close:g}: "
            "one is not the other, or in another unit. Nothing was changed; monitor the new one by "
            "itself"
        )


def _ends(
    cache: CandleCache, old: str, new: str, timeframe: Timeframe
) -> tuple[Candle, Candle] | None:
    """Return the last candle of the old name and the first of the new one, None without both."""
    last = cache.newest(old, timeframe, 1)
    oldest_ms = cache.summaries([Pair(new, timeframe)])[0].oldest
    if not last or oldest_ms is None:
        return None
    first = cache.between(new, timeframe, oldest_ms, oldest_ms + 1)
    return (last[0], first[0]) if first else None  # none where somebody else wrote it
