"""Fetching again what an audit found to differ: in the cache, and in history."""

from collections.abc import Sequence

from exchanges.rest.base import VenueRest
from history.audit.comparison import Differing
from history.audit.sampling import Source
from history.manifest import Manifest
from history.verifying.repair import Lost
from livermore.market.coverage import union
from livermore.market.pair import Pair


def forget(manifest: Manifest, differing: Sequence[Differing]) -> Lost:
    """Know nothing more of the bars of history that differ; return which stretches these are."""
    lost: dict[Pair, list[tuple[int, int]]] = {}
    for each in differing:
        if each.window.source is Source.HISTORY:
            pair = each.window.pair
            lost.setdefault(pair, []).append((each.time_ms, each.time_ms + pair.timeframe.ms))
    found = {pair: union(stretches) for pair, stretches in lost.items()}
    for pair, stretches in found.items():
        manifest.uncover(pair, stretches)
    return found


def counts_back(rest: VenueRest, differing: Sequence[Differing]) -> dict[Pair, int]:
    """Return of each pair of the cache that differs how many of its newest bars reach them all."""
    now_ms = rest.clock.now_ms()
    found: dict[Pair, int] = {}
    for each in differing:
        if each.window.source is Source.CACHE:
            pair = each.window.pair
            periods = -(-(now_ms - each.time_ms) // pair.timeframe.ms)
            found[pair] = max(found.get(pair, 0), periods)
    return found
