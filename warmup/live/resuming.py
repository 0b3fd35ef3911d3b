"""Where a stream goes on with its pairs: where their closes were told last."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exchanges.errors import LivermoreError
from exchanges.rest.clock import ExchangeClock, time_of
from livermore.market.coverage import Coverage, believable, intersect
from livermore.market.pair import Pair
from warmup.cache.candles import CANDLES_KEPT, CandleCache
from warmup.cache.set_aside import SetAside

logger = logging.getLogger(__name__)


class ResumePoint(NamedTuple):
    """Where to go on with a pair: from `next_ms` on nothing was told.

    `skipped` was not told before that. `coverage` is what the cache knows, up to `known_until_ms`.
    """

    next_ms: int
    skipped: Coverage
    coverage: Coverage
    known_until_ms: int


def resume(
    cache: CandleCache, clock: ExchangeClock, pairs: Sequence[Pair]
) -> dict[Pair, ResumePoint]:
    """Return where to go on with each pair: where its closes were told, or where the cache ends.

    Coverage that reaches beyond now is cut back, if the exchange can be asked for its time: a clock
    that was ahead left it behind. Raises what the exchange says where its time was never known.
    """
    coverages = dict(zip(pairs, cache.coverages(pairs), strict=True))
    if _beyond_now(coverages, clock):
        _cut_back(cache, clock, coverages)
    told, now_ms = cache.told(pairs), time_of(clock)
    found = {}
    for pair, coverage in coverages.items():
        current_ms = pair.timeframe.floor(now_ms)
        earliest_ms = current_ms - CANDLES_KEPT * pair.timeframe.ms
        known_until_ms = coverage[-1][1] if coverage else current_ms
        if mark := told.get(pair):
            next_ms = max(earliest_ms, min(mark.until_ms, current_ms))
            skipped = intersect(mark.skipped, ((earliest_ms, next_ms),))
        else:  # it was never streamed: nobody waits for what was before
            next_ms, skipped = max(earliest_ms, known_until_ms), ()
        found[pair] = ResumePoint(next_ms, skipped, coverage, known_until_ms)
    return found


def _cut_back(cache: CandleCache, clock: ExchangeClock, coverages: dict[Pair, Coverage]) -> None:
    try:
        clock.settle()  # is it ours that is late?
    except LivermoreError as error:
        logger.warning("resuming.time_unknown error=%s", error)
        return
    for pair, believed in _beyond_now(coverages, clock).items():
        cut_ms = believed[-1][1] if believed else 0
        logger.warning("resuming.cut_back pair=%s/%s from=%d", *pair, cut_ms)
        try:
            cache.cut_back(pair, cut_ms, time_of(clock))
        except SetAside as error:
            logger.warning("resuming.set_aside pair=%s/%s why=%s", *pair, error)
        coverages[pair] = believed


def _beyond_now(coverages: Mapping[Pair, Coverage], clock: ExchangeClock) -> dict[Pair, Coverage]:
    """Return what can be believed of those pairs whose coverage reaches beyond now."""
    now_ms = time_of(clock)
    found = {
        pair: believable(coverage, pair.timeframe, now_ms, clock.apart_ms)
        for pair, coverage in coverages.items()
    }
    return {pair: each for pair, each in found.items() if each != coverages[pair]}
