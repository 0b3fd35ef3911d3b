"""What the cache lacks: fetched under the exchange's lock, or by the runner that has it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from django.db import close_old_connections
from redis import Redis

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from livermore.market.candle import Candle, check_time
from livermore.market.coverage import subtract
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.fetching.opened import OpenBar
from serving.together.turns import turn
from warmup.cache.candles import CandleCache
from warmup.repair import CandleRepair, PairHoles
from warmup.runner.hand_over import under_lock


class Fetched(NamedTuple):
    """Why pairs could not be fetched, and what was told of open bars beside those that were."""

    failures: Mapping[Pair, str] = {}
    open_bars: Mapping[Pair, OpenBar] = {}


def fetch_holes(redis: Redis, exchange_id: int, holes: Sequence[PairHoles]) -> Fetched:
    """Fetch stretches under the exchange's lock, or let the runner do it that has it.

    Other processes that serve do so before or after, and what they have fetched by then is left
    out. Raises LivermoreError where nothing could be done.
    """
    close_old_connections()
    exchange = Exchange.objects.get(pk=exchange_id)
    with turn(redis, exchange_id):
        left = still_missing(CandleCache(redis, exchange_id), holes)
        return _fetch(redis, exchange, left) if left else Fetched()


def still_missing(cache: CandleCache, holes: Sequence[PairHoles]) -> list[PairHoles]:
    """Return what of some stretches the cache lacks by now."""
    pairs = [Pair(hole.symbol, hole.timeframe) for hole in holes]
    found = []
    for hole, known, count in zip(holes, cache.coverages(pairs), cache.counts(pairs), strict=True):
        left = subtract(hole.ranges, known if count else ())  # as `Windows` believes it
        if left:
            found.append(replace(hole, ranges=left))
    return found


def _fetch(redis: Redis, exchange: Exchange, holes: Sequence[PairHoles]) -> Fetched:
    exchange_id, began_at = exchange.pk, time.time()

    def work(cache: Any, tell: Any) -> dict[str, Any]:
        with closing(open_rest(exchange)) as rest:
            repair = CandleRepair(redis, exchange_id, rest, cache=cache)
            report = repair.repair_holes(holes, lane=Lane.SERVE, with_open=True)
            return report.as_json() | {"openBars": report.open_bars}

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
    failures = {
        Pair(failure["symbol"], Timeframe(failure["timeframe"])): failure["error"]
        for failure in report["failures"]
    }
    return Fetched(failures, dict(_open_bars(report, began_at)))


def _open_bars(report: Mapping[str, Any], began_at: float) -> Iterator[tuple[Pair, OpenBar]]:
    """Yield what a report says of open bars; `began_at` is when nobody had begun with it yet.

    Who wrote it may have a clock that differs, but in it a second is as long as here.
    """
    for each in report.get("openBars", ()):  # a runner of another version may tell of none
        with suppress(LookupError, TypeError, ValueError):  # or in another form
            pair = Pair(each["symbol"], Timeframe(each["timeframe"]))
            candle = each["row"] and Candle.of_values(each["row"], pair.timeframe)
            open_ms = candle.timestamp if candle else check_time(each["from"])
            yield pair, OpenBar(open_ms, candle, began_at + each["afterMs"] / 1000)
