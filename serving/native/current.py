"""Whether an indicator is that of the newest closed candle, or an old one."""

from collections.abc import Mapping, Sequence
from typing import Any

from livermore.market.coverage import missing, union
from livermore.market.pair import Pair
from serving.candles.selection import GRACE_MS
from warmup.cache.candles import CandleCache
from warmup.cache.pair_state import PairState
from warmup.cache.unconfirmed import settled_empty


def are_current(
    cache: CandleCache,
    pairs: Sequence[Pair],
    values: Sequence[Mapping[str, Any] | None],
    lag_ms: int,
    now_ms: int,
) -> list[bool]:
    """Tell of each pair's value whether no newer candle is there, and no bar since is unknown.

    `now_ms` is the exchange's time; bars that it told without a row are empty after `lag_ms`.
    Raises RedisError.
    """
    summaries, unconfirmed = cache.summaries(pairs), cache.unconfirmed()
    return [
        value is not None
        and value.get("timestamp") == summary.newest
        and _is_known_since(pair, value, summary.state(unconfirmed.get(pair, ())), lag_ms, now_ms)
        for pair, value, summary in zip(pairs, values, summaries, strict=True)
    ]


def _is_known_since(
    pair: Pair, value: Mapping[str, Any], state: PairState, lag_ms: int, now_ms: int
) -> bool:
    empty = settled_empty(state.unconfirmed, pair.timeframe, lag_ms)
    until_ms = pair.timeframe.floor(now_ms - GRACE_MS)
    since_ms = value["timestamp"] + pair.timeframe.ms
    return not missing(union([*state.coverage, *empty]), since_ms, until_ms)
