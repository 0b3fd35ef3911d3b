"""What the cache lacks: fetched under the exchange's lock, or by the runner that has it."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from django.db import close_old_connections
from redis import Redis

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from livermore.market.coverage import subtract
from livermore.market.pair import Pair
from serving.together.turns import turn
from warmup.cache.candles import CandleCache
from warmup.repair import CandleRepair, PairHoles
from warmup.runner.hand_over import under_lock


def fetch_holes(redis: Redis, exchange_id: int, holes: Sequence[PairHoles]) -> dict[Pair, str]:
    """Fetch stretches under the exchange's lock, or let the runner do it that has it.

    Other processes that serve do so before or after, and what they have fetched by then is left
    out. Returns of which pairs that failed, and why. Raises LivermoreError where nothing could be
    done.
    """
    close_old_connections()
    exchange = Exchange.objects.get(pk=exchange_id)
    with turn(redis, exchange_id):
        left = still_missing(CandleCache(redis, exchange_id), holes)
        return _fetch(redis, exchange, left) if left else {}


def still_missing(cache: CandleCache, holes: Sequence[PairHoles]) -> list[PairHoles]:
    """Return what of some stretches the cache lacks by now."""
    pairs = [Pair(hole.symbol, hole.timeframe) for hole in holes]
    found = []
    for hole, known, count in zip(holes, cache.coverages(pairs), cache.counts(pairs), strict=True):
        left = subtract(hole.ranges, known if count else ())  # as `Windows` believes it
        if left:
            found.append(replace(hole, ranges=left))
    return found


def _fetch(redis: Redis, exchange: Exchange, holes: Sequence[PairHoles]) -> dict[Pair, str]:
    exchange_id = exchange.pk

    def work(cache: Any, tell: Any) -> dict[str, Any]:
        with closing(open_rest(exchange)) as rest:
            repair = CandleRepair(redis, exchange_id, rest, cache=cache)
            return repair.repair_holes(holes, lane=Lane.SERVE).as_json()

    pairs = [[hole.symbol, hole.timeframe, hole.ranges] for hole in holes]
    report = under_lock(
        redis,
        exchange,
        "fetch",
        {"pairs": pairs},
        work,
        show=lambda told: None,
        say=lambda line: None,
        who="",
    )
    return {
        Pair(failure["symbol"], failure["timeframe"]): failure["error"]
        for failure in report["failures"]
    }
